"""A kernel's end on a console."""

from __future__ import annotations

import pytest

from workloads.resource_watch import kernel_panic, last_lines

PTRACE = "userspace - ptrace set fp regs failed, errno = 14"
PANIC = "Kernel panic - not syncing: Attempted to kill init! exitcode=0x0000000b"
BOOT = "[    0.000000] Linux version 6.1.0-35-cloud-amd64 (debian-kernel@lists.debian.org)"


@pytest.mark.parametrize(
    ("console", "found"),
    [
        ("", None),
        (f"{BOOT}\r\nDebian GNU/Linux 12 client hvc0\r\nclient login: ", None),
        (f"tidemark: power on\n{PTRACE}\n{PANIC}\nCPU: 0 PID: 1 Comm: init\n", f"{PTRACE}; {PANIC}"),
        (f"{BOOT}\r\n[   12.3] {PANIC}\r\n[   12.3] ---[ end {PANIC} ]---\r\n", f"{PANIC} ]---"),
        (f"[  3.1] Oops: 0002 [#1] PREEMPT SMP NOPTI\n[  3.2] {PANIC}", f"Oops: 0002 [#1] PREEMPT SMP NOPTI; {PANIC}"),
        # An earlier boot's fault is not this one's.
        (f"{PANIC}\n{BOOT}\nclient login: ", None),
        (f"{PANIC}\ntidemark: power on\nclient login: ", None),
        (f"{PTRACE}\n{BOOT}\n{PANIC}", PANIC),
    ],
)
def test_a_panic_of_the_newest_boot_is_quoted_with_its_cause(console: str, found: str | None) -> None:
    assert kernel_panic(console) == found


def test_last_lines_are_those_that_say_something_without_a_terminals_codes() -> None:
    console = "\x1b[2J\x1b[1;32mfirst\x1b[0m\r\n\r\n" + "".join(f"line {n}\r\n" for n in range(9)) + "\x07last"
    assert last_lines(console) == [*(f"line {n}" for n in range(2, 9)), "last"]


def test_a_panics_last_line_is_the_panic() -> None:
    trace = "".join(f" [<{n:08x}>] do_exit+0x0/0x9\n" for n in range(40))
    assert last_lines(f"first\n{PTRACE}\n{PANIC}\n{trace}") == ["first", PTRACE, PANIC]
