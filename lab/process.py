"""Every command that the region runs on this machine goes through here."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from lab.errors import LabError


def run(
    command: Sequence[str | Path],
    *,
    stdin: str | None = None,
    env: Mapping[str, str] | None = None,
    timeout_seconds: float = 120,
    log: Path | None = None,
) -> str:
    """Run one command to its end and return what it printed; all that it says goes to `log` where one is given.

    Raises LabError with the last line of its standard error when it fails, is missing, or takes too long.
    """
    words = [str(word) for word in command]
    try:
        done = subprocess.run(
            words, input=stdin, env=env, capture_output=True, text=True, timeout=timeout_seconds, check=False
        )
    except FileNotFoundError as missing:
        raise LabError(f"{words[0]}: no such command on this machine; `make setup` installs it") from missing
    except subprocess.TimeoutExpired as late:
        raise LabError(f"{' '.join(words[:4])}: no end after {timeout_seconds:.0f} s") from late
    if log:
        log.write_text(done.stdout + done.stderr)
    if done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip() or "it said nothing").splitlines()
        where = f" (all of it: {log})" if log else ""
        raise LabError(f"{' '.join(words[:4])}: exit code {done.returncode}: {said[-1]}{where}")
    return done.stdout
