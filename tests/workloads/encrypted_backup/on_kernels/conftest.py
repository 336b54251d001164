"""A volume of encrypted-backup for the tests on kernels, formatted anew, with a tree of made-up files to back up."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.workloads.encrypted_backup.on_kernels.client import PASSPHRASE, SEED, SOURCE, on_client, succeeded
from tests.workloads.fabric_task import fab
from workloads.encrypted_backup.context import Context, host_program


@pytest.fixture(scope="package")
def key_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("key") / "key"
    path.write_text(PASSPHRASE)
    path.chmod(0o600)
    return path


@pytest.fixture(scope="package")
def words(encrypted_backup_region: Path, key_file: Path) -> list[str]:
    """What every task is told; the server stays up, since starting it takes a while."""
    return ["--inventory", str(encrypted_backup_region), "--key-file", str(key_file), "--leave-running"]


@pytest.fixture(scope="package")
def volume(words: list[str], encrypted_backup_region: Path) -> list[str]:
    """The volume, formatted, and files to back up; what tasks are told."""
    with on_client(encrypted_backup_region) as context:
        context.client.run(host_program("seed"), ["make", SOURCE, SEED, "60"], locked=False)
    succeeded(fab("encrypted-backup.format", *words))
    return words


@pytest.fixture(scope="package")
def made() -> list[str]:
    """The snapshots that must be there, oldest first: the tests add theirs."""
    return []


@pytest.fixture(autouse=True)
def _results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEMARK_RESULTS_DIR", str(tmp_path / "results"))


@pytest.fixture
def context(encrypted_backup_region: Path) -> Iterator[Context]:
    with on_client(encrypted_backup_region) as found:
        # A test may have stopped it; and it has another address since it was started again.
        found.power.start(found.server_host)
        found.power.await_return(found.server_host, print)
        yield found
