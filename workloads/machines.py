"""The machine that the tasks run on, as one that scripts run on."""

from __future__ import annotations

import contextlib
import getpass
import os
import queue
import subprocess
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import IO

from workloads.connections import SCRIPT_TIMEOUT_S, Machine, Script, Talk, script_command
from workloads.errors import WorkloadError

HERE = "this machine"


def user_here() -> str:
    """The user of this machine whom the tasks run as; by number where it has no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"user {os.getuid()}"


class ThisMachine(Machine):
    """The machine that the tasks run on: scripts get the same command line here, by sudo where that is needed.

    What holds for a host holds here, too: a script that nobody waits for any more runs on, and sees the end of its
    standard input.
    """

    name = HERE

    def __init__(self, user: str) -> None:
        self.user = user

    def _said(
        self, script: str, command: str, on_line: Callable[[str], None], *, stdin: bytes, silence_s: float
    ) -> tuple[int, str]:
        with _running(script, command, silence_s) as talk:
            talk.send(stdin)
            talk.done_writing()
            for line in talk.lines:
                on_line(line)
            return talk.end()

    @contextlib.contextmanager
    def conversation(
        self, script: Script, arguments: Iterable[str] = (), *, silence_s: float = SCRIPT_TIMEOUT_S
    ) -> Iterator[Talk]:
        """Runs the script, whose standard input stays open while the block lasts."""
        command = script_command(script.name, list(arguments), self.user, locked=False, spoken_with=True)
        with _running(script.name, command, silence_s) as talk:
            talk.send(f"{script.text.rstrip()}\n".encode())
            yield talk


@contextlib.contextmanager
def _running(name: str, command: str, silence_s: float) -> Iterator[_Process]:
    process = _Process(command, silence_s)
    try:
        yield process
    except TimeoutError:
        raise WorkloadError(
            f"{name} has said nothing for {silence_s:g} s", "see what it waits for (ps), and run the task again", HERE
        ) from None
    finally:
        process.done_writing()


class _Process:
    """A command of this machine, its output gathered by threads beside: a pipe can't be waited for with a limit."""

    def __init__(self, command: str, silence_s: float) -> None:
        self._silence_s = silence_s
        # A session of its own: Ctrl-C is for the task, which undoes in order what it has done.
        self._process = subprocess.Popen(
            ["bash", "-c", command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self._stdin = self._process.stdin
        self._said: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._complaints: list[bytes] = []
        self._readers = (
            threading.Thread(target=_gather, args=(self._process.stdout, self._said.put), daemon=True),
            threading.Thread(target=_gather, args=(self._process.stderr, self._complained), daemon=True),
        )
        for reader in self._readers:
            reader.start()
        self.lines = self._lines()

    def send(self, content: bytes) -> bool:
        """Writes to its standard input; False when it has ended."""
        try:
            self._stdin.write(content)
            self._stdin.flush()
        except (OSError, ValueError):
            return False
        return True

    def done_writing(self) -> None:
        """Nothing more comes on its standard input."""
        with contextlib.suppress(OSError):
            self._stdin.close()

    def end(self, limit_s: float | None = None) -> tuple[int, str]:
        """Waits for the end; exit code and standard error. `limit_s` is in the place of the longest silence."""
        limit_s = self._silence_s if limit_s is None else limit_s
        try:
            code = self._process.wait(limit_s)
        except subprocess.TimeoutExpired:
            raise TimeoutError from None
        self._readers[1].join(limit_s)
        return code, b"".join(self._complaints).decode(errors="replace")

    def _complained(self, line: bytes | None) -> None:
        if line is not None:
            self._complaints.append(line)

    def _lines(self) -> Iterator[str]:
        while True:
            try:
                line = self._said.get(timeout=self._silence_s)
            except queue.Empty:
                raise TimeoutError from None
            if line is None:
                return
            yield line.decode(errors="replace").removesuffix("\n")


def _gather(pipe: IO[bytes], put: Callable[[bytes | None], None]) -> None:
    with pipe:
        for line in pipe:
            put(line)
    put(None)
