"""The experiments that this report knows: how each is summarized and shown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import report.md_raid
import report.md_raid.figures
import report.md_raid.view
from report.figures import Plot
from report.md_raid.schema import Summary as MdRaidSummary
from report.page import Page
from report.runs import Manifest, Run
from report.table import Table


@dataclass(frozen=True)
class Experiment:
    summary_type: type
    summarize: Callable[[Run], Any]
    page: Callable[[Manifest, Any], Page]
    tables: Callable[[Any], list[Table]]
    picture: Callable[[Any], Plot | None]  # the one for the README


EXPERIMENTS = {
    "md-raid": Experiment(
        summary_type=MdRaidSummary,
        summarize=report.md_raid.summarize,
        page=report.md_raid.view.page,
        tables=report.md_raid.view.tables,
        picture=report.md_raid.figures.scaling_plot,
    ),
}
