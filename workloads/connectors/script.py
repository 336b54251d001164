"""How a script goes to a host and what comes back: the command line, the facts, the sections, the error.

A script goes over standard input, whole: neither an argument list nor a file on the host holds it, and a connection
that breaks half-way runs nothing.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from workloads.errors import WorkloadError, last_line

# A script whose connection broke runs on; the next one waits for it instead of working beside it.
LOCK_PATH = "/run/tidemark.lock"
LOCK_TIMEOUT_SECONDS = 90
LOCK_TIMEOUT_EXIT = 75
END_OF_SCRIPT = "# end of script"
CUT_SCRIPT_EXIT = 70
ERROR_PREFIX = "tidemark-error: "
_SECTION = "@@ "
END_OF_SECTIONS = "end"

# The whole of standard input is the script, or with `keep_stdin_open` everything up to its last line. On a pipe,
# bash's `read` takes nothing beyond the line.
# One line: the log-in shell may be tcsh, whose quotation marks end with a line.
READ_ALL = "script=$(cat)"
READ_SCRIPT = (
    "script=; while IFS= read -r line; do "
    f'script+=$line; [ "$line" != "{END_OF_SCRIPT}" ] || break; script+=$\'\\n\'; done'
)
# Nothing that an account has for its own shells: --norc leaves out ~/.bashrc, which bash reads where it finds that SSH
# started it (bash(1), INVOCATION); -p leaves out BASH_ENV and exported functions and options.
BASH = ("bash", "--norc", "-p", "-c")


@dataclass(frozen=True)
class Script:
    """A script and its name; `text` ends with END_OF_SCRIPT, which proves that it arrived whole."""

    name: str
    text: str

    @classmethod
    def load(cls, path: Path, *libraries: Path) -> Script:
        """Reads the script at `path` and puts `libraries` (functions that scripts share) before it."""
        text = "".join(each.read_text(encoding="utf-8") for each in (*libraries, path))
        if not text.rstrip().endswith(END_OF_SCRIPT):
            raise ValueError(f"{path} does not end with {END_OF_SCRIPT!r}")
        return cls(path.stem, text)

    def followed_by_input(self) -> bytes:
        """Returns what to send where the script reads from standard input as well."""
        return f"{self.text.rstrip()}\n".encode()


@dataclass(frozen=True)
class ScriptResult:
    """A script's output: `facts` are its JSON lines, the last of which holds `changed`."""

    host: str
    stdout: str
    stderr: str
    facts: tuple[dict[str, Any], ...] = ()

    @property
    def changed(self) -> int:
        """The number of things that the script changed on the host."""
        return int(self.facts[-1].get("changed", 0)) if self.facts else 0


def script_command(
    name: str, arguments: Sequence[str], user: str, *, locked: bool = True, keep_stdin_open: bool = False
) -> str:
    """Returns a command line that reads a script from standard input, checks that it is whole, and runs it as root.

    `locked` makes it wait for the host-wide lock; `keep_stdin_open` leaves the rest of standard input to the script.
    """
    reader = (
        f'{READ_SCRIPT if keep_stdin_open else READ_ALL}; case $script in *"{END_OF_SCRIPT}") ;; '
        f'*) echo "{ERROR_PREFIX}the script arrived incomplete|run the task again" >&2; '
        f'exit {CUT_SCRIPT_EXIT};; esac; eval "$script"'
    )
    words = [*BASH, reader, name, *arguments]
    if locked:
        # --close: what the script starts must not inherit the lock and hold it after the script's end.
        lock = ["flock", "--close", "--timeout", str(LOCK_TIMEOUT_SECONDS)]
        words = [*lock, "--conflict-exit-code", str(LOCK_TIMEOUT_EXIT), LOCK_PATH, *words]
    return as_root(user, *words)


def as_root(user: str, *words: str) -> str:
    """Returns the command line that runs `words` as root, for the log-in shell of `user`."""
    return shlex.join(words if user == "root" else ["sudo", "-n", *words])


def facts_in(stdout: str, host: str | None = None) -> tuple[dict[str, Any], ...]:
    """Returns the JSON objects among the lines of `stdout`; other lines are for people.

    A section (see `sections`) is a tool's output or a file, and holds no facts. Raises WorkloadError for a line that
    begins like an object and is not JSON: a fact must not go missing unseen.
    """
    facts = []
    in_section = False
    for line in stdout.split("\n"):
        if line.startswith(_SECTION):
            in_section = line != f"{_SECTION}{END_OF_SECTIONS}"
        elif line.startswith('{"') and not in_section:
            facts.append(fact_in(line, host))
    return tuple(facts)


def sections(stdout: str) -> dict[str, str]:
    """Returns the sections of `stdout` by name; each begins with a line "@@ NAME". What precedes the first is left
    out.
    """
    found: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in stdout.splitlines():
        if line.startswith(_SECTION):
            lines = found.setdefault(line.removeprefix(_SECTION).strip(), [])
        else:
            lines.append(line)
    return {name: "\n".join(part) for name, part in found.items()}


def fact_in(line: str, host: str | None = None) -> dict[str, Any]:
    """Parses a line as a JSON object. Raises WorkloadError where it is none."""
    try:
        fact = json.loads(line, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        fact = None
    if not isinstance(fact, dict):
        raise WorkloadError(
            f"a script's answer is no JSON: {line if len(line) <= 200 else line[:197] + '...'}",
            "see what that line shows on the host, and run the task again",
            host,
        )
    return fact


def _refuse_constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is no JSON")


def script_error(host: str, script: str, code: int, stderr: str) -> WorkloadError:
    """Returns the error of a script that ended with `code`: the one that it printed, or else its last line."""
    for line in reversed(stderr.splitlines()):
        if line.startswith(ERROR_PREFIX):
            what, _, remedy = line.removeprefix(ERROR_PREFIX).partition("|")
            return WorkloadError(what, remedy, host)
    if code == LOCK_TIMEOUT_EXIT:
        return WorkloadError(
            f"another task has been at work on it for {LOCK_TIMEOUT_SECONDS} s",
            "wait for that to end and run again",
            host,
        )
    last = last_line(stderr) or "no message"
    if code == 1 and last.startswith("sudo: "):  # in the host's language
        return WorkloadError(
            last, "allow the user sudo without a password and without a terminal, or log in as root", host
        )
    return WorkloadError(
        f"{script} failed with exit code {code} ({last})", "the cause is in that message; run again", host
    )
