"""Processes on this machine: running commands, waiting, and which are killed first when memory runs out."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from lab.errors import LabError

# A contained command's mounts and processes end with it: by --kill-child when unshare is killed, and by the
# parent-death signal when this process is killed.
CONTAINED = ("setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")

REGION_OOM_SCORE = -900
"""The region's process is killed last when memory runs out: everything else ends with it."""
HOST_OOM_SCORE = 500
"""Hosts are killed first."""


class CommandFailedError(LabError):
    """A command exited with a code other than 0; `stderr` is all that it printed on standard error."""

    def __init__(self, message: str, stderr: str) -> None:
        super().__init__(message)
        self.stderr = stderr


def run(
    command: Sequence[str | Path],
    *,
    stdin: str | None = None,
    env: Mapping[str, str] | None = None,
    timeout_seconds: float = 120,
    log: Path | None = None,
    contained: bool = False,
) -> str:
    """Runs a command and returns its standard output; both of its outputs go to the file `log`, if one is given.

    With `contained` it runs in a mount and process namespace of its own, which takes root. Raises LabError with the
    last line of its standard error when it fails (CommandFailedError), is missing, or takes too long. The command has
    ended when this returns or raises, also on an interrupt.
    """
    words = [str(word) for word in command]
    try:
        process = subprocess.Popen(
            [*CONTAINED, *words] if contained else words,
            stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=env,
            text=True,
        )
    except FileNotFoundError as missing:
        raise LabError(f"{words[0]}: no such command on this machine; `make setup` installs it") from missing
    with process:
        try:
            stdout, stderr = process.communicate(stdin, timeout=timeout_seconds)
        except subprocess.TimeoutExpired as late:
            _end(process, contained)
            raise LabError(f"{' '.join(words[:4])}: no end after {timeout_seconds:.0f} s") from late
        except BaseException:
            _end(process, contained)
            raise
    if log:
        try:
            log.write_text(stdout + stderr)
        except OSError:  # perhaps the disk is full, which the command reports as well
            log = None
    if process.returncode != 0:
        lines = (stderr.strip() or stdout.strip() or "it printed nothing").splitlines()
        where = f" (all of it: {log})" if log else ""
        line = f"{' '.join(words[:4])}: exit code {process.returncode}: {lines[-1]}{where}"
        raise CommandFailedError(line, stderr)
    return stdout


def _end(process: subprocess.Popen[str], contained: bool) -> None:
    process.kill()
    if contained:  # the pipes are at their end when the last process of the namespace has closed them
        process.communicate()


def set_oom_score(pid: int, score: int) -> None:
    """Sets oom_score_adj (proc(5)) of a process; does nothing if it has exited, or a lower score than
    its own is not allowed (CAP_SYS_RESOURCE).
    """
    with contextlib.suppress(OSError):
        Path(f"/proc/{pid}/oom_score_adj").write_text(str(score))


def wait_until(
    predicate: Callable[[], bool],
    *,
    timeout_seconds: float,
    interval_seconds: float = 0.1,
) -> bool:
    """Calls `predicate` every `interval_seconds` until it is true. Returns False if the timeout passes first.

    The predicate is called at least once, and once more when the time is over.
    """
    deadline = time.monotonic() + timeout_seconds
    while not predicate():
        if time.monotonic() >= deadline:
            return False
        time.sleep(interval_seconds)
    return True
