"""The interface of all connectors: run scripts as root, on a host or on this machine; a failure is one line."""

from __future__ import annotations

import contextlib
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence

from workloads.connectors.script import Script, ScriptResult, facts_in, script_command, script_error
from workloads.errors import WorkloadError, last_line

# How long a script may print nothing before it is given up.
IDLE_TIMEOUT_SECONDS = 300
# Printed before a command: what an account's files print for its log-in shell (~/.bashrc, ~/.zshenv) comes before it.
BEGUN = "tidemark-begins"


class ScriptProcess(ABC):
    """A command that runs. Reading its output raises TimeoutError after `idle_timeout_seconds` without a line."""

    lines: Iterator[str]
    """The lines of its standard output, as they come."""

    def __init__(self, idle_timeout_seconds: float) -> None:
        self.idle_timeout_seconds = idle_timeout_seconds
        self._stderr: list[bytes] = []
        self._stderr_reader = threading.Thread(target=self._read_stderr, daemon=True)

    @abstractmethod
    def send(self, content: bytes) -> bool:
        """Writes to its standard input; returns False where it has ended: its exit code and output tell why."""

    @abstractmethod
    def close_stdin(self) -> None:
        """Ends its standard input."""

    def wait(self, timeout_seconds: float | None = None) -> tuple[int, str]:
        """Waits for its end; returns its exit code and standard error.

        Raises TimeoutError after `timeout_seconds`, by default `idle_timeout_seconds`.
        """
        if timeout_seconds is None:
            timeout_seconds = self.idle_timeout_seconds
        code = self._wait_for_exit(timeout_seconds)
        self._stderr_reader.join(timeout_seconds)
        return code, b"".join(self._stderr).decode(errors="replace")

    @abstractmethod
    def _wait_for_exit(self, timeout_seconds: float) -> int: ...

    @abstractmethod
    def _read_stderr(self) -> None: ...


class Connector(ABC):
    """Runs scripts as root: on a host over its connection, or on the machine that the tasks run on."""

    name: str
    """Its name in messages."""
    user: str
    _silence_remedy: str
    """The advice for a command that prints nothing."""

    @abstractmethod
    def _process(
        self, name: str, command: str, idle_timeout_seconds: float
    ) -> contextlib.AbstractContextManager[ScriptProcess]:
        """Runs `command` while the block lasts; `name` stands for it in messages."""

    @contextlib.contextmanager
    def _execute(self, name: str, command: str, idle_timeout_seconds: float) -> Iterator[ScriptProcess]:
        # As bash, zsh, fish, tcsh and dash understand it.
        with self._process(name, f"echo {BEGUN}; exec {command}", idle_timeout_seconds) as process:
            process.lines = self._after_begun(name, process, process.lines)
            try:
                yield process
            except TimeoutError as error:
                raise WorkloadError(
                    f"{name} was silent for {process.idle_timeout_seconds:g} s", self._silence_remedy, self.name
                ) from error

    def _after_begun(self, name: str, process: ScriptProcess, lines: Iterator[str]) -> Iterator[str]:
        """Yields the command's own lines. Raises WorkloadError where the log-in shell did not run it."""
        last = ""
        for line in lines:
            if line.endswith(BEGUN):
                yield from lines
                return
            last = line.strip() or last
        _, stderr = process.wait()
        raise WorkloadError(
            f"the log-in shell of {self.user} did not run {name} ({last or last_line(stderr) or 'no message'})",
            "let a user log in whose shell runs commands, with sudo, or root (ssh.user)",
            self.name,
        )

    def execute(
        self,
        command: str,
        on_line: Callable[[str], None],
        *,
        stdin: bytes = b"",
        idle_timeout_seconds: float = IDLE_TIMEOUT_SECONDS,
        name: str | None = None,
    ) -> tuple[int, str]:
        """Runs `command`, one without operators, and passes each line of its output to `on_line`.

        Returns exit code and standard error.
        """
        with self._execute(name or command.split()[0], command, idle_timeout_seconds) as process:
            process.send(stdin)
            process.close_stdin()
            for line in process.lines:
                on_line(line)
            return process.wait()

    @contextlib.contextmanager
    def start(
        self, script: Script, arguments: Iterable[str] = (), *, idle_timeout_seconds: float = IDLE_TIMEOUT_SECONDS
    ) -> Iterator[ScriptProcess]:
        """Runs `script`, without the host-wide lock, while the block lasts; its standard input stays open."""
        command = script_command(script.name, list(arguments), self.user, locked=False, keep_stdin_open=True)
        with self._execute(script.name, command, idle_timeout_seconds) as process:
            process.send(script.followed_by_input())
            yield process

    def exchange(
        self,
        script: Script,
        lines: Sequence[str],
        arguments: Iterable[str] = (),
        *,
        idle_timeout_seconds: float = IDLE_TIMEOUT_SECONDS,
    ) -> list[tuple[float, str, float]]:
        """Runs `script`, which must answer each line with one line, and sends each of `lines` after the answer to the
        one before. Returns when each was sent, its answer, and when that came, in Unix seconds of this machine's clock.
        """
        exchanges: list[tuple[float, str, float]] = []
        with self.start(script, arguments, idle_timeout_seconds=idle_timeout_seconds) as process:
            for line in lines:
                sent_unix_s = time.time()
                if not process.send(f"{line}\n".encode()):
                    break
                answer = next(process.lines, None)
                if answer is None:
                    break
                exchanges.append((sent_unix_s, answer, time.time()))
            process.close_stdin()
            code, stderr = process.wait()
        if code:
            raise script_error(self.name, script.name, code, stderr)
        if len(exchanges) < len(lines):
            raise WorkloadError(
                f"{script.name} answered {len(exchanges)} of {len(lines)} times", "run the task again", self.name
            )
        return exchanges

    def run(
        self,
        script: Script,
        arguments: Iterable[str] = (),
        *,
        locked: bool = True,
        idle_timeout_seconds: float = IDLE_TIMEOUT_SECONDS,
        on_line: Callable[[str], None] | None = None,
        stdin: bytes | None = None,
    ) -> ScriptResult:
        """Runs `script`, waits for its end, and returns its facts. With `locked`, waits for the host-wide lock.

        `on_line` gets each line of output. `stdin` is what the script itself reads from its standard input: the place
        for a secret.
        """
        lines: list[str] = []

        def take(line: str) -> None:
            lines.append(line)
            if on_line is not None:
                on_line(line)

        keep_stdin_open = stdin is not None
        command = script_command(
            script.name, list(arguments), self.user, locked=locked, keep_stdin_open=keep_stdin_open
        )
        content = script.text.encode() if stdin is None else script.followed_by_input() + stdin
        code, stderr = self.execute(
            command, take, stdin=content, idle_timeout_seconds=idle_timeout_seconds, name=script.name
        )
        if code:
            raise script_error(self.name, script.name, code, stderr)
        stdout = "\n".join(lines)
        return ScriptResult(self.name, stdout, stderr, facts_in(stdout, self.name))
