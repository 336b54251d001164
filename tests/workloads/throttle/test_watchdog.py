"""However the throttle ends, nothing stays stopped: the watchdog alone, with a throttle that does as it is told."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.workloads.throttle.real import ROOT, is_stopped, read_numbers, shell, state_of, wait_until
from workloads.throttle.processes import read_stat
from workloads.throttle.watchdog import exit_code

THROTTLE = """
import os, signal, sys, time
from workloads.throttle import watchdog
from workloads.throttle.processes import Identity
watchdog.SILENCE_S = float(sys.argv[1])
dog = watchdog.Watchdog.start(None)
def is_gone(call):
    try:
        call()
    except watchdog.WatchdogGone:
        return True
    return False
print(dog.pid, flush=True)
for line in sys.stdin:
    exec(line)
    print(0, flush=True)
"""
LONG_S = 3600.0


class Throttle:
    """A process with a watchdog that runs the lines it is given."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        (self.watchdog,) = read_numbers(process, 1)

    def does(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()
        read_numbers(self.process, 1)

    def stops(self, pid: int, *, start_ticks_off_by: int = 0) -> None:
        stat = read_stat(pid)
        assert stat is not None
        self.does(f"dog.hold(Identity({pid}, {stat.start_ticks + start_ticks_off_by}))")
        os.kill(pid, signal.SIGSTOP)
        wait_until(lambda: is_stopped(pid), "SIGSTOP did not reach it")


@contextmanager
def throttle(silence_s: float = LONG_S) -> Iterator[Throttle]:
    process = subprocess.Popen(
        [sys.executable, "-c", THROTTLE, str(silence_s)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield Throttle(process)
        finally:
            process.kill()


def test_a_killed_throttle_leaves_nothing_stopped() -> None:
    with shell("sleep 60; true") as one, shell("sleep 60; true") as other, throttle() as held:
        held.stops(one.pid)
        held.stops(other.pid)
        held.process.kill()
        wait_until(lambda: not is_stopped(one.pid) and not is_stopped(other.pid), "it stays stopped")
        wait_until(lambda: state_of(held.watchdog) in ("gone", "Z"), "the watchdog stays")


def test_a_crashed_throttle_leaves_nothing_stopped() -> None:
    with shell("sleep 60; true") as one, throttle() as held:
        held.stops(one.pid)
        assert held.process.stdin is not None
        held.process.stdin.write("1 / 0\n")
        held.process.stdin.flush()
        wait_until(lambda: not is_stopped(one.pid), "it stays stopped")


def test_a_pid_that_was_used_again_is_left_alone() -> None:
    with shell("sleep 60; true") as another, shell("sleep 60; true") as one, throttle() as held:
        held.stops(another.pid, start_ticks_off_by=-1)
        held.stops(one.pid)
        held.process.kill()
        wait_until(lambda: state_of(held.watchdog) in ("gone", "Z"), "the watchdog stays")
        assert not is_stopped(one.pid)
        assert is_stopped(another.pid)


def test_a_throttle_that_has_let_go_itself_is_taken_at_its_word() -> None:
    with shell("sleep 60; true") as one, throttle() as held:
        held.stops(one.pid)
        held.does("dog.done()")
        wait_until(lambda: state_of(held.watchdog) == "gone", "the watchdog stays")
        assert is_stopped(one.pid)


def test_a_throttle_that_says_nothing_any_more_is_not_waited_for() -> None:
    """It hangs, or somebody has stopped it."""
    with shell("sleep 60; true") as one, throttle(silence_s=0.2) as held:
        held.stops(one.pid)
        os.kill(held.process.pid, signal.SIGSTOP)
        wait_until(lambda: not is_stopped(one.pid), "it stays stopped")


def test_a_throttle_that_was_suspended_says_so_and_is_waited_for() -> None:
    with shell("sleep 60; true") as one, throttle(silence_s=0.5) as held:
        held.does("dog.suspended()")
        held.stops(one.pid)
        held.does("dog.suspended()")
        held.does("time.sleep(1.5)")  # three times as long as it would take
        assert is_stopped(one.pid)
        held.does("dog.heartbeat()")
        wait_until(lambda: not is_stopped(one.pid), "after its return silence means nothing")


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGTSTP])
def test_signals_for_everybody_do_not_end_it(signum: int) -> None:
    with shell("sleep 60; true") as one, throttle() as held:
        held.stops(one.pid)
        wait_until(lambda: os.getpgid(held.watchdog) == held.watchdog, "it shares the throttle's group")
        os.kill(held.watchdog, signum)
        held.process.kill()
        wait_until(lambda: not is_stopped(one.pid), "it stays stopped")


def test_a_killed_watchdog_is_noticed() -> None:
    with throttle() as held:
        os.kill(held.watchdog, signal.SIGKILL)
        wait_until(lambda: state_of(held.watchdog) == "Z", "it does not end")
        for call in ("dog.hold(Identity(1, 1))", "dog.ended()"):
            held.does(f"found = is_gone(lambda: {call})")
            held.does("assert found")


def test_the_exit_code_is_the_one_that_shells_have() -> None:
    assert exit_code(0) == 0
    assert exit_code(7 << 8) == 7
    assert exit_code(signal.SIGTERM) == 143
    assert exit_code(signal.SIGSEGV | 0x80) == 139  # with a core dump
