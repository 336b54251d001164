"""A process group that ends when this process ends, in whatever way."""

from __future__ import annotations

import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NoReturn

from workloads.throttle.processes import signal_at_parents_end

POLL_S = 0.02


class Child:
    """Runs `work` in a forked process with a session of its own; `work` returns the exit code. Of
    this process's descriptors it gets none: the run's lock must not outlive this process.

    Forked, so that a Python program that is loaded already need not be started: that takes a rehearsal's host a second,
    ten times as long as everything else between two syncs. The calling process must have one thread.
    """

    def __init__(self, work: Callable[[], int], environment: Mapping[str, str], output: Path) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        self.returncode: int | None = None
        self.pid = os.fork()
        if self.pid == 0:
            _become(work, environment, output)

    def poll(self) -> int | None:
        """Returns the exit code, or minus the number of the signal that ended it; None while it runs."""
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def end(self, timeout_s: float) -> int:
        """Terminates the group, and kills it after so many seconds; returns the exit code."""
        deadline_s = time.monotonic() + timeout_s
        if self.poll() is None:
            # The throttle passes the signal on, and continues the processes that it has stopped.
            self._signal(signal.SIGTERM)
        while (code := self.poll()) is None:
            if time.monotonic() >= deadline_s:
                self._signal(signal.SIGKILL)
            time.sleep(POLL_S)
        return code

    def _signal(self, signum: int) -> None:
        """Signals the group, or the process that does not lead one yet."""
        try:
            os.killpg(self.pid, signum)
        except ProcessLookupError:
            os.kill(self.pid, signum)


def _become(work: Callable[[], int], environment: Mapping[str, str], output: Path) -> NoReturn:
    code = 1
    try:
        os.setsid()
        signal_at_parents_end(signal.SIGTERM)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.closerange(3, os.sysconf("SC_OPEN_MAX"))
        nowhere, words = os.open(os.devnull, os.O_RDONLY), os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        for descriptor, ours in ((nowhere, 0), (words, 1), (words, 2)):
            os.dup2(descriptor, ours)
        sys.stdout, sys.stderr = (
            os.fdopen(descriptor, "w", errors="backslashreplace", closefd=False) for descriptor in (1, 2)
        )
        os.environ.clear()
        os.environ.update(environment)
        code = work()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
