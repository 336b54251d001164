"""What a run's deployment costs on AWS, from its inventory, in words."""

from __future__ import annotations

from report.format import MISSING
from report.runs import Manifest, number, quietly, text


def cost_words(manifest: Manifest, run_seconds: float | None) -> str:
    """An hour's dollars, and those of the run's own time where that is known. A rehearsal costs nothing: said is what
    it would be.
    """
    cost = manifest.inventory.get("cost")
    cost = cost if isinstance(cost, dict) else {}
    usd_per_hour, prices_of = quietly(number, cost, "usd_per_hour"), quietly(text, cost, "prices_of")
    if usd_per_hour is None or prices_of is None:
        return MISSING
    words = f"{_dollars(usd_per_hour)} an hour"
    if run_seconds is not None:
        words += f", {_dollars(usd_per_hour * run_seconds / 3600)} for the time of this run"
    besides = cost.get("besides")
    if isinstance(besides, list) and besides:
        words += f", plus {', '.join(str(each) for each in besides)}"
    words += f" (prices of {prices_of}, without traffic and tax)"
    return f"nothing: a rehearsal; on AWS it would be {words}" if manifest.rehearsal else words


def _dollars(amount: float) -> str:
    """To the cent, or to two figures of less than one."""
    return f"${amount:.2f}" if amount >= 0.01 else f"${amount:.2g}"
