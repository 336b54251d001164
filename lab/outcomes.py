"""The outcomes of the experiments of one rehearsal, and the table that shows them.

The table is made by the report, which knows the verdicts. It runs as a process, since rooms do not import each other.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from lab.errors import LabError
from lab.paths import PROJECT, results_dir

SCHEMA = 1


@dataclass(frozen=True)
class Outcome:
    """How one experiment ended: the directory of its results, if it has any; why it failed, or None."""

    experiment: str
    seconds: float
    run: str | None
    reason: str | None

    @property
    def done(self) -> bool:
        return self.reason is None

    @property
    def page(self) -> Path | None:
        """The page of its report, relative to the working directory if it is below; None if there is none."""
        if self.run is None or not (page := Path(self.run) / "report.html").exists():
            return None
        return page.relative_to(Path.cwd()) if page.is_relative_to(Path.cwd()) else page


def run_of(experiment: str, stack: str, started: datetime) -> str | None:
    """Returns the newest results of a stack that are not older than `started`."""
    runs = sorted((results_dir() / experiment / stack).glob("????-??-??T??????Z"))
    oldest = f"{started:%Y-%m-%dT%H%M%SZ}"
    return str(runs[-1]) if runs and runs[-1].name >= oldest else None


def write_outcomes(path: Path, outcomes: Sequence[Outcome]) -> None:
    """Writes the outcomes for the process that started this one."""
    path.write_text(json.dumps([asdict(outcome) for outcome in outcomes]))


def read_outcomes(path: Path) -> list[Outcome]:
    """Reads what `write_outcomes` wrote. Raises LabError if its process ended before that."""
    try:
        return [Outcome(**each) for each in json.loads(path.read_text())]
    except (OSError, ValueError) as fault:
        raise LabError("its process ended before it had written its outcome") from fault


def show_outcomes(experiments: Sequence[str], outcomes: Sequence[Outcome], why_not: str = "interrupted") -> None:
    """Prints the table, with a row for each of the experiments; `why_not` is why some have no outcome."""
    rows = {outcome.experiment: asdict(outcome) for outcome in outcomes}
    missing = {"seconds": None, "run": None, "reason": why_not}
    document = {
        "schema": SCHEMA,
        "experiments": [rows.get(each) or {"experiment": each, **missing} for each in experiments],
    }
    sys.stdout.flush()
    subprocess.run(
        [sys.executable, "-m", "report.overview", "--outcomes"],
        cwd=PROJECT,
        input=json.dumps(document),
        text=True,
        check=False,
    )
