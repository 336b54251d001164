"""Every command that the region runs on this machine goes through here."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from lab.errors import LabError

# Mounts and processes of a command that is contained so are nobody else's, and end with it, however that ends:
# --kill-child when unshare is killed, and the parent-death signal when this process is.
CONTAINED = ("setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")


class CommandFailedError(LabError):
    """A command ended with an exit code other than 0; `said` is all that it printed on standard error."""

    def __init__(self, message: str, said: str) -> None:
        super().__init__(message)
        self.said = said


def run(
    command: Sequence[str | Path],
    *,
    stdin: str | None = None,
    env: Mapping[str, str] | None = None,
    timeout_seconds: float = 120,
    log: Path | None = None,
    contained: bool = False,
) -> str:
    """Run one command to its end and return what it printed; all that it says goes to `log` where one is given.

    With `contained` it runs in a mount and process namespace of its own, which takes root. Raises LabError with the
    last line of its standard error when it fails (CommandFailedError), is missing, or takes too long. Whatever cuts it
    short, an interrupt too, it has ended when this returns.
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
        except OSError:  # the disk is full, perhaps, which is what the command says, too
            log = None
    if process.returncode != 0:
        said = (stderr.strip() or stdout.strip() or "it said nothing").splitlines()
        where = f" (all of it: {log})" if log else ""
        line = f"{' '.join(words[:4])}: exit code {process.returncode}: {said[-1]}{where}"
        raise CommandFailedError(line, stderr)
    return stdout


def _end(process: subprocess.Popen[str], contained: bool) -> None:
    process.kill()
    if contained:  # the pipes are at their end when the last process of the namespace has closed them
        process.communicate()
