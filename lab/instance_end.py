"""How a host ended by itself, and how the API is told: the instance's state and its reason, as EC2 words them."""

from __future__ import annotations

import re
import signal
from dataclasses import dataclass

from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.core.utils import utcnow
from moto.ec2.models import ec2_backends
from moto.ec2.models.instances import StateReason
from moto.efs.models import efs_backends

# The kernel's own words for its end (kernel/panic.c), and User Mode Linux' for the fault that is behind many of them
# (arch/um/os-Linux/skas/process.c).
_PANIC = re.compile(r"Kernel panic - not syncing: .*")
_CAUSE = re.compile(r"userspace - ptrace \S.* failed.*")
BOOT_LINE = "tidemark: power on"
"""What the region writes to a console before a host boots: what is above it is of an earlier boot."""


@dataclass(frozen=True)
class EndReason:
    """Code and words as in an instance's StateReason (EC2 API Reference)."""

    code: str
    words: str

    @property
    def message(self) -> str:
        return f"{self.code}: {self.words}"


def end_reason(exit_code: int, console: str) -> EndReason:
    """Why a host ended whose process ended with this code (negative: by that signal), and left this console."""
    newest = console.rpartition(BOOT_LINE)[2]
    panics = list(_PANIC.finditer(newest))
    if panics:
        cause = _CAUSE.search(newest)
        panic = panics[-1][0].strip()
        return _died(panic if cause is None else f"{cause[0].strip()}; {panic}")
    if exit_code == 0:
        return EndReason("Client.InstanceInitiatedShutdown", "Instance initiated shutdown")
    if exit_code < 0:
        try:
            name = signal.Signals(-exit_code).name
        except ValueError:
            name = f"signal {-exit_code}"
        memory = "; this machine may be out of memory" if name == "SIGKILL" else ""
        return _died(f"it was killed ({name}{memory})")
    last = [line.strip() for line in newest.splitlines() if line.strip()][-1:] or ["an empty console"]
    return _died(f"exit code {exit_code}, after {last[0]}")


def _died(why: str) -> EndReason:
    return EndReason("Server.InternalError", f"the host's kernel ended: {why}")


def tell_instance_ended(region: str, instance_id: str, reason: EndReason) -> None:
    """Terminate the instance, or stop it, as it was launched to do at its shutdown; one that is gone stays as it is."""
    instance = ec2_backends[DEFAULT_ACCOUNT_ID][region].get_instance(instance_id)
    if instance.state not in ("pending", "running"):
        return
    if instance.instance_initiated_shutdown_behavior == "terminate":
        instance.terminate()
    else:
        instance.stop()
    # Not by calls of the API, after which whoever asks just then would see another's reason.
    instance._reason = f"{reason.message} ({utcnow():%Y-%m-%d %H:%M:%S} GMT)"
    instance.state_reason = StateReason(reason.message, reason.code)


def tell_file_system_ended(region: str, file_system_id: str) -> None:
    """EFS' word for one that is "in a failed state and is unrecoverable" (EFS User Guide, "File system status")."""
    system = efs_backends[DEFAULT_ACCOUNT_ID][region].file_systems_by_id.get(file_system_id)
    if system is not None:
        system.life_cycle_state = "error"
