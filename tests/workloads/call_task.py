"""Calling an experiment's task in this process, with the defaults of the options that are not given."""

from __future__ import annotations

import inspect
from typing import Any
from unittest.mock import patch

from workloads import fabric_tasks
from workloads.experiment import Experiment
from workloads.fabric_tasks import experiment_tasks


def call_task(experiment: Experiment, name: str, **options: Any) -> None:
    """Calls a task as Fabric does; its errors are raised as they are."""
    body = experiment_tasks(experiment)[name].body
    parameters = inspect.signature(body).parameters.values()
    defaults = {each.name: each.default for each in parameters if each.default is not inspect.Parameter.empty}
    with patch.object(fabric_tasks, "_run_reported", lambda task, given: task(**given)):
        body(None, **{**defaults, **options})
