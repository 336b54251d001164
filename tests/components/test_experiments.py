"""The experiments: found by their modules, named alike in their stack files, chosen without a default."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from components import experiments
from components.experiments import experiment_names, load_experiment
from tests.components.stack_program import PROJECT, stack_file

STACKS = sorted(path.name[len("Pulumi.") : -len(".yaml")] for path in (PROJECT / "stacks").glob("Pulumi.*.yaml"))
OF_EXPERIMENTS = [stack for stack in STACKS if "tidemark:component" not in stack_file(stack)]


@pytest.mark.parametrize("name", experiment_names())
def test_a_module_has_the_experiment_of_its_name(name: str) -> None:
    assert load_experiment(name).name == name


@pytest.mark.parametrize("stack", OF_EXPERIMENTS)
def test_a_stack_file_names_its_experiment(stack: str) -> None:
    assert stack_file(stack)["tidemark:experiment"] == stack.partition(".")[0]
    assert stack_file(stack)["tidemark:experiment"] in experiment_names()


@pytest.fixture
def toy_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "toy_experiment.py").write_text(
        "from components.experiment import Experiment\n"
        "from components.tunnel import Tunnel, check\n"
        "EXPERIMENT = Experiment('toy-experiment', check, Tunnel)\n"
    )
    monkeypatch.setattr(experiments, "__path__", [*experiments.__path__, str(tmp_path)])
    importlib.invalidate_caches()
    yield
    sys.modules.pop("components.experiments.toy_experiment", None)


@pytest.mark.usefixtures("toy_module")
def test_a_new_module_is_a_new_experiment() -> None:
    assert "toy-experiment" in experiment_names()
    assert load_experiment("toy-experiment").name == "toy-experiment"
