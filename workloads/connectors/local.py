"""Runs scripts on the machine that the tasks run on."""

from __future__ import annotations

import contextlib
import getpass
import os
import queue
import subprocess
import threading
from collections.abc import Iterator

from workloads.connectors.base import Connector, ScriptProcess

THIS_MACHINE = "this machine"


def local_user() -> str:
    """Returns the name of the user whom the tasks run as; the number of a user without a name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"user {os.getuid()}"


class LocalConnector(Connector):
    """Runs scripts on this machine by the same command line as on a host, with sudo if needed.

    As on a host, a script that nobody waits for any more runs on, and sees the end of its standard input.
    """

    name = THIS_MACHINE
    _silence_remedy = "see what it waits for (ps), and run the task again"

    def __init__(self, user: str) -> None:
        self.user = user

    @contextlib.contextmanager
    def _process(self, name: str, command: str, idle_timeout_seconds: float) -> Iterator[LocalProcess]:
        process = LocalProcess(command, idle_timeout_seconds)
        try:
            yield process
        finally:
            process.close_stdin()


class LocalProcess(ScriptProcess):
    """A command of this machine. Threads gather its output, since a pipe can't be read with a timeout."""

    def __init__(self, command: str, idle_timeout_seconds: float) -> None:
        super().__init__(idle_timeout_seconds)
        # A session of its own: Ctrl-C is for the task, which undoes in order what it has done.
        self._process = subprocess.Popen(
            ["bash", "-c", command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        assert self._process.stdin is not None
        self._stdin = self._process.stdin
        self._stdout: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._stderr_reader.start()
        threading.Thread(target=self._read_stdout, daemon=True).start()
        self.lines = self._lines()

    def send(self, content: bytes) -> bool:
        try:
            self._stdin.write(content)
            self._stdin.flush()
        except (OSError, ValueError):
            return False
        return True

    def close_stdin(self) -> None:
        with contextlib.suppress(OSError):
            self._stdin.close()

    def _wait_for_exit(self, timeout_seconds: float) -> int:
        try:
            return self._process.wait(timeout_seconds)
        except subprocess.TimeoutExpired:
            raise TimeoutError from None

    def _read_stdout(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as pipe:
            for line in pipe:
                self._stdout.put(line)
        self._stdout.put(None)

    def _read_stderr(self) -> None:
        assert self._process.stderr is not None
        with self._process.stderr as pipe:
            self._stderr.extend(pipe)

    def _lines(self) -> Iterator[str]:
        while True:
            try:
                line = self._stdout.get(timeout=self.idle_timeout_seconds)
            except queue.Empty:
                raise TimeoutError from None
            if line is None:
                return
            yield line.decode(errors="replace").removesuffix("\n")
