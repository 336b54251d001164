"""Finds the experiments, and what each one's report consists of.

An experiment is a folder of this package with an `experiment.py`; its name is the folder's, with "-" for "_". It holds

- `schema.py` with `Summary`: the dataclass that is written as summary.json and whose fields its claims name;
- `experiment.py` with `EXPERIMENT`: how a run is summarized, and what its page shows.

Its claims are in claims/<name>.yaml. Only the experiment that is shown is loaded; the ledger, which shows the claims of
all, loads their schemas alone, which import nothing slow.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Any

import report

if TYPE_CHECKING:
    from report.claims import Claim
    from report.page import Page
    from report.runs import Manifest, Run


@dataclass(frozen=True)
class Experiment:
    summarize: Callable[[Run], Any]  # the same run gives the same summary, from its raw records alone
    page: Callable[[Manifest, Any, Sequence[Claim]], Page]


def experiment_names() -> list[str]:
    folders = [module.name for module in iter_modules(report.__path__) if module.ispkg]
    return sorted(name.replace("_", "-") for name in folders if find_spec(f"report.{name}.experiment"))


def load_experiment(name: str) -> Experiment:
    experiment = import_module(f"report.{_folder(name)}.experiment").EXPERIMENT
    assert isinstance(experiment, Experiment), f"report/{_folder(name)}/experiment.py: EXPERIMENT is no Experiment"
    return experiment


def summary_type(name: str) -> type:
    summary: type = import_module(f"report.{_folder(name)}.schema").Summary
    return summary


def _folder(name: str) -> str:
    return name.replace("-", "_")
