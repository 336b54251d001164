"""What every task of encrypted-backup takes."""

from __future__ import annotations

from dataclasses import dataclass

from workloads.encrypted_backup.settings import LUKS


@dataclass(frozen=True)
class Options:
    """Which deployment, which client, and where the passphrase comes from; on the command line, options alike."""

    stack: str | None = None
    inventory: str | None = None
    client: str | None = None
    passphrase_fd: str | None = None
    key_file: str | None = None
    type: str = LUKS
    leave_running: bool = False
