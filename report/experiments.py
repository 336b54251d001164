"""Finds the experiments, and what each one's report consists of.

An experiment is a folder of this package with an `experiment.py`; its name is the folder's, with "-" for "_". It holds

- `schema.py` with `Summary`: the dataclass that is written as summary.json and whose fields its claims name;
- `experiment.py` with `summarize(run)`, which makes the summary from the run's raw records alone, and
  `page(manifest, summary, claims)`, which returns the `report.page.Page` that shows it.

Its claims are in claims/<name>.yaml. Only the experiment that is shown is loaded; the ledger, which shows the claims of
all, loads their schemas alone, which import nothing slow.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from pkgutil import iter_modules
from types import ModuleType

import report


def experiment_names() -> list[str]:
    folders = [module.name for module in iter_modules(report.__path__) if module.ispkg]
    return sorted(name.replace("_", "-") for name in folders if find_spec(f"report.{name}.experiment"))


def load_experiment(name: str) -> ModuleType:
    return import_module(f"report.{_folder(name)}.experiment")


def summary_type(name: str) -> type:
    summary: type = import_module(f"report.{_folder(name)}.schema").Summary
    return summary


def _folder(name: str) -> str:
    return name.replace("-", "_")
