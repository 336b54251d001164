"""A host's process that exits by itself: noticing it at once, and the reason that EC2 would give."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

OnExit = Callable[[int], None]
"""Takes an exit code, negative for the signal that ended the process."""

# The kernel's own words for its end (kernel/panic.c), and User Mode Linux' for the fault that is behind many of them
# (arch/um/os-Linux/skas/process.c).
_PANIC = re.compile(r"Kernel panic - not syncing: .*")
_CAUSE = re.compile(r"userspace - ptrace \S.* failed.*")
BOOT_LINE = "tidemark: power on"
"""Written to a console before each boot: the lines above it belong to an earlier boot."""


class ExitWatch:
    """Calls `on_exit` once when a child process exits, unless the exit is expected. Waits in a thread of its own."""

    def __init__(self, process: subprocess.Popen[Any], on_exit: OnExit) -> None:
        self._process = process
        self._on_exit: OnExit | None = on_exit
        self._lock = threading.Lock()
        threading.Thread(target=self._wait, name=f"exit-of-{process.pid}", daemon=True).start()

    def expect(self) -> None:
        """The exit is no longer reported: the region itself ends the process."""
        with self._lock:
            self._on_exit = None

    def report(self) -> None:
        """Waits for the process and returns when its exit has been reported, by this call or before."""
        with self._lock:
            on_exit, self._on_exit = self._on_exit, None
            if on_exit is not None:
                on_exit(self._process.wait())

    def _wait(self) -> None:
        with contextlib.suppress(ChildProcessError):  # its exit code was collected already
            os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT)
        self.report()


@dataclass(frozen=True)
class ExitReason:
    """Code and text of an instance's StateReason (EC2 API Reference)."""

    code: str
    text: str

    @property
    def message(self) -> str:
        return f"{self.code}: {self.text}"


def exit_reason(exit_code: int, console: str) -> ExitReason:
    """Explains an exit by its code (negative: that signal) and the console of the host."""
    newest = console.rpartition(BOOT_LINE)[2]
    panics = list(_PANIC.finditer(newest))
    if panics:
        cause = _CAUSE.search(newest)
        panic = panics[-1][0].strip()
        return _kernel_ended(panic if cause is None else f"{cause[0].strip()}; {panic}")
    if exit_code == 0:
        return ExitReason("Client.InstanceInitiatedShutdown", "Instance initiated shutdown")
    if exit_code < 0:
        try:
            name = signal.Signals(-exit_code).name
        except ValueError:
            name = f"signal {-exit_code}"
        memory = "; this machine may be out of memory" if name == "SIGKILL" else ""
        return _kernel_ended(f"it was killed ({name}{memory})")
    last = [line.strip() for line in newest.splitlines() if line.strip()][-1:] or ["an empty console"]
    return _kernel_ended(f"exit code {exit_code}, after {last[0]}")


def _kernel_ended(why: str) -> ExitReason:
    return ExitReason("Server.InternalError", f"the host's kernel ended: {why}")
