"""The experiments that can be declared: each module of this package exports EXPERIMENT.

A module's name with hyphens is the experiment's name (`eip_region` is eip-region), so adding a module adds an
experiment.
"""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any

from components.experiment import Experiment


def experiment_names() -> list[str]:
    """Returns the names of all experiments, sorted."""
    return sorted(module.name.replace("_", "-") for module in pkgutil.iter_modules(__path__))


def load_experiment(name: str) -> Experiment[Any]:
    """Imports the experiment's module and returns its EXPERIMENT."""
    module = importlib.import_module(f"{__name__}.{name.replace('-', '_')}")
    experiment: Experiment[Any] = module.EXPERIMENT
    return experiment
