"""A process that exits by itself is reported once and at once, with the reason that EC2 would give."""

from __future__ import annotations

import subprocess
import threading

import pytest

from lab.kernel.uml import ExitReason, ExitWatch, exit_reason

PTRACE = "userspace - ptrace set fp regs failed, errno = 14"
PANIC = "Kernel panic - not syncing: Attempted to kill init! exitcode=0x0000000b"
DIED = "Server.InternalError"
BOUND_SECONDS = 60


@pytest.mark.parametrize(
    ("exit_code", "console", "reason"),
    [
        (0, "reboot: Power down\n", ExitReason("Client.InstanceInitiatedShutdown", "Instance initiated shutdown")),
        (134, f"{PTRACE}\n{PANIC}\nCPU: 0\n", ExitReason(DIED, f"the host's kernel ended: {PTRACE}; {PANIC}")),
        (0, f"{PANIC}\r\n", ExitReason(DIED, f"the host's kernel ended: {PANIC}")),
        (
            -9,
            f"{PANIC}\n\ntidemark: power on\nbooting\n",
            ExitReason(DIED, "the host's kernel ended: it was killed (SIGKILL; this machine may be out of memory)"),
        ),
        (-11, "", ExitReason(DIED, "the host's kernel ended: it was killed (SIGSEGV)")),
        (1, "no such disk\n\n", ExitReason(DIED, "the host's kernel ended: exit code 1, after no such disk")),
        (127, "", ExitReason(DIED, "the host's kernel ended: exit code 127, after an empty console")),
    ],
)
def test_the_reason_is_in_the_kernels_own_words_of_the_newest_boot(
    exit_code: int, console: str, reason: ExitReason
) -> None:
    assert exit_reason(exit_code, console) == reason


class Reports:
    """The exit codes that were reported."""

    def __init__(self) -> None:
        self.codes: list[int] = []
        self.event = threading.Event()

    def __call__(self, exit_code: int) -> None:
        self.codes.append(exit_code)
        self.event.set()


def test_a_killed_process_is_reported_once_and_at_once() -> None:
    reports = Reports()
    process = subprocess.Popen(["sleep", "60"])
    watch = ExitWatch(process, reports)
    process.kill()
    assert reports.event.wait(BOUND_SECONDS)
    watch.report()
    assert reports.codes == [-9]


def test_a_process_whose_exit_code_was_collected_before_is_reported() -> None:
    reports = Reports()
    process = subprocess.Popen(["sh", "-c", "exit 3"])
    process.wait()
    ExitWatch(process, reports)
    assert reports.event.wait(BOUND_SECONDS)
    assert reports.codes == [3]


def test_report_returns_when_a_report_that_is_under_way_is_done() -> None:
    began, may_end = threading.Event(), threading.Event()
    done: list[int] = []

    def slowly(exit_code: int) -> None:
        began.set()
        assert may_end.wait(BOUND_SECONDS)
        done.append(exit_code)

    process = subprocess.Popen(["true"])
    watch = ExitWatch(process, slowly)
    assert began.wait(BOUND_SECONDS)

    def report() -> None:
        watch.report()
        done.append(2)

    second = threading.Thread(target=report)
    second.start()
    may_end.set()
    second.join(BOUND_SECONDS)
    assert done == [0, 2]


def test_an_expected_exit_is_not_reported() -> None:
    reports = Reports()
    process = subprocess.Popen(["sleep", "60"])
    watch = ExitWatch(process, reports)
    watch.expect()
    process.kill()
    process.wait()
    for thread in threading.enumerate():
        if thread.name == f"exit-of-{process.pid}":
            thread.join(BOUND_SECONDS)
    watch.report()
    assert reports.codes == []
