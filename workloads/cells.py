"""Measures the cells of a plan one after the other; each gets a record and a line, also after an error."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from workloads.deployment import Deployment
from workloads.errors import WorkloadError


class IncompleteError(WorkloadError):
    """Some cells have no valid measurement; the results have the others."""


@dataclass
class CellOutcome:
    """A cell's outcome: `words` for a person, `figures` for its record, and the `reason` why it is not valid."""

    words: str = ""
    reason: str | None = None
    figures: Mapping[str, Any] = field(default_factory=dict)


class CellRun:
    """The `total` cells of one run; `failed` lists those without a valid measurement, with the reason."""

    def __init__(self, deployment: Deployment, total: int, name_width: int = 24) -> None:
        self.failed: list[str] = []
        self._deployment = deployment
        self._total = total
        self._measured = 0
        self._name_width = name_width
        self._started = time.monotonic()

    def label(self, cell: str) -> str:
        """Returns the number and the name of the current cell, to be shown."""
        number = f"{self._measured + 1}/{self._total}"
        return f"{number:>6} {cell:<{self._name_width}}"

    def measure_cell(
        self, record: Mapping[str, Any], measure: Callable[[], CellOutcome], *, raise_faults: bool = False
    ) -> CellOutcome:
        """Measures the cell that `record` names, appends its record, and prints a line.

        A WorkloadError makes the cell incomplete; it is raised only with `raise_faults`. An interrupt is recorded and
        raised.
        """
        cell, outcome = str(record["cell"]), CellOutcome()
        try:
            outcome = measure()
        except WorkloadError as error:
            outcome = CellOutcome(reason=error.what)
            if raise_faults:
                raise
        except BaseException as error:
            interrupted = isinstance(error, (KeyboardInterrupt, SystemExit))
            outcome = CellOutcome(reason="interrupted" if interrupted else str(error) or type(error).__name__)
            raise
        finally:
            ended = {"complete": outcome.reason is None, "reason": outcome.reason}
            self._deployment.results.append("cells", {**record, **outcome.figures, **ended})
        words = [outcome.words] if outcome.words else []
        if outcome.reason is not None:
            words.append(f"not complete: {outcome.reason}")
            self.failed.append(f"{cell} ({outcome.reason})")
        self._deployment.console.say("run", f"{self.label(cell)} {'  '.join(words)}")
        self._measured += 1
        return outcome

    def finish(self) -> None:
        """Records how long the run took, and prints how many cells are complete."""
        seconds = time.monotonic() - self._started
        self._deployment.results.step("run", seconds, None)
        complete = self._total - len(self.failed)
        self._deployment.console.say("run", f"{complete} of {self._total} cells in {seconds:.0f} s")

    def raise_incomplete(self, remedy: str, host: str | None = None) -> None:
        """Raises IncompleteError when a cell has no valid measurement."""
        if self.failed:
            raise IncompleteError(
                f"{len(self.failed)} of {self._total} cells are not complete, the first: {self.failed[0]}", remedy, host
            )
