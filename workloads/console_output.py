"""Finds a kernel's panic in the output of a host's serial console."""

from __future__ import annotations

import re
from collections.abc import Sequence

LAST_LINES = 8
# Messages of a fatal kernel fault: kernel/panic.c, arch/x86/kernel/dumpstack.c ("Oops"),
# lib/bug.c; and arch/um/os-Linux/skas/process.c ("userspace - ptrace ..."), after which User Mode Linux panics.
_PANIC = re.compile(r"Kernel panic - not syncing: .*")
_CAUSE = re.compile(r"userspace - ptrace \S.* failed.*|(?:Oops|BUG|Unable to handle kernel)\b.*:.*")
# The first line of every boot (init/main.c), and a rehearsal's instead, whose kernels are quiet. Lines before it are of
# an earlier boot.
_BOOT = re.compile(r"Linux version \d|^tidemark: power on$")
_CAUSE_LINES = 60  # a panic's own traces and registers lie between a cause and the panic
# Colours, cursor movements and other control characters.
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f]")


def lines_of(console: str) -> list[str]:
    """Returns the lines of a console that are not empty, without control characters."""
    lines = (_CONTROL.sub("", line).rstrip() for line in console.splitlines())
    return [line for line in lines if line.strip()]


def last_lines(console: str) -> list[str]:
    """Returns a console's last lines, to be shown; after a panic those up to it, without registers and trace."""
    lines = lines_of(console)
    at = _panic_at(lines)
    return lines[-LAST_LINES:] if at is None else lines[max(0, at + 1 - LAST_LINES) : at + 1]


def kernel_panic(console: str) -> str | None:
    """Returns the panic of the newest boot's kernel, after the fault that caused it if that is shown; None when it has
    not panicked, or has booted again since.
    """
    lines = lines_of(console)
    at = _panic_at(lines)
    if at is None:
        return None
    panic = _PANIC.search(lines[at])
    assert panic is not None  # found just there
    before = lines[max(0, at - _CAUSE_LINES) : at]
    begin = max((n for n, line in enumerate(before) if _BOOT.search(line) or _PANIC.search(line)), default=-1)
    cause = next((found[0] for line in before[begin + 1 :] if (found := _CAUSE.search(line))), None)
    return panic[0] if cause is None else f"{cause}; {panic[0]}"


def _panic_at(lines: Sequence[str]) -> int | None:
    """Returns the index of the newest boot's panic."""
    for at in range(len(lines) - 1, -1, -1):
        if _BOOT.search(lines[at]):
            return None
        if _PANIC.search(lines[at]):
            return at
    return None
