"""Being told at once when a process that was started here ends by itself."""

from __future__ import annotations

import contextlib
import os
import subprocess
import threading
import weakref
from collections.abc import Callable
from typing import Any

Process = subprocess.Popen[Any]


class ProcessEnds:
    """Watches child processes of this one, a thread each, which waits in the kernel. An end that is expected is not
    told.
    """

    def __init__(self) -> None:
        self._watches: weakref.WeakKeyDictionary[Process, _Watch] = weakref.WeakKeyDictionary()

    def watch(self, process: Process, ended: Callable[[int], None]) -> None:
        """Call `ended` with the exit code (negative: by that signal) when the process has ended."""
        watch = self._watches[process] = _Watch(ended)

        def wait() -> None:
            with contextlib.suppress(ChildProcessError):  # somebody else has asked for its exit code
                os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
            watch.tell(process)

        threading.Thread(target=wait, name=f"end-of-{process.pid}", daemon=True).start()

    def expect(self, process: Process | None) -> None:
        """From now on the process's end is this one's own doing."""
        if process is not None and process in self._watches:
            self._watches[process].expect()

    def settle(self, process: Process) -> None:
        """Return when the end of a process that has ended was told, unless it was expected."""
        if process in self._watches:
            self._watches[process].tell(process)


class _Watch:
    """Tells once."""

    def __init__(self, ended: Callable[[int], None]) -> None:
        self._ended: Callable[[int], None] | None = ended
        self._guard = threading.Lock()

    def expect(self) -> None:
        with self._guard:
            self._ended = None

    def tell(self, process: Process) -> None:
        with self._guard:
            ended, self._ended = self._ended, None
            if ended is not None:
                ended(process.wait())
