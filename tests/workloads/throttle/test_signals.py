"""Signals as events, in a process of their own: they are blocked for good."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.workloads.throttle.real import PATIENCE_S, ROOT, hear_a_hangup, is_stopped, wait_until

PROGRAM = """
import signal, sys
from workloads.throttle.signals import Signals
signals = Signals({signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
print("ignored", sorted(signals.ignored), "blocked", sorted(signals.blocked), flush=True)
seconds = float(sys.argv[1])
while True:
    print(signals.wait(seconds), flush=True)
"""


@contextmanager
def waiting(seconds: float, *, before: str = "") -> Iterator[subprocess.Popen[str]]:
    script = f'{before} exec "$@"'
    process = subprocess.Popen(
        ["sh", "-c", script, "sh", sys.executable, "-c", PROGRAM, str(seconds)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=hear_a_hangup,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_a_signal_comes_with_its_number_and_from_whom() -> None:
    with waiting(PATIENCE_S) as process:
        assert line(process) == "ignored [] blocked []"
        for number in (signal.SIGTERM, signal.SIGINT):
            process.send_signal(number)
            assert line(process) == f"Caught(number={number:d}, by_terminal=False)"


def test_what_was_ignored_stays_ignored() -> None:
    with waiting(PATIENCE_S, before="trap '' HUP;") as process:
        assert line(process) == f"ignored [{signal.SIGHUP:d}] blocked []"
        process.send_signal(signal.SIGHUP)
        process.send_signal(signal.SIGTERM)
        assert line(process) == f"Caught(number={signal.SIGTERM:d}, by_terminal=False)"


def test_time_passes_and_nothing_comes() -> None:
    with waiting(0.01) as process:
        line(process)
        assert [line(process) for _ in range(3)] == ["None"] * 3


def test_being_stopped_while_waiting_is_not_taken_for_a_signal() -> None:
    """Also when the time is over by then."""
    with waiting(0.05) as process:
        line(process)
        process.send_signal(signal.SIGTERM)
        seen = [line(process)]
        for _ in range(5):
            os.kill(process.pid, signal.SIGSTOP)
            wait_until(lambda: is_stopped(process.pid), "SIGSTOP did not reach it")
            time.sleep(0.1)
            os.kill(process.pid, signal.SIGCONT)
            seen += [line(process), line(process)]
        caught = [each for each in seen if each != "None"]
        assert caught == [f"Caught(number={signal.SIGTERM:d}, by_terminal=False)"]
