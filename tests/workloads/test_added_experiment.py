"""An experiment is added by its folder alone: its tasks appear, with their options, help and one-line errors."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.workloads.fabric_task import fab
from workloads.load_inventory import PROJECT

TOY = """
from pathlib import Path

from workloads.errors import WorkloadError
from workloads.experiment import Experiment, Option, PlanFormat, Stage, Task


def load(which):
    if which not in (None, "short"):
        raise WorkloadError(f"--plan {which}: no such plan", "give short")
    return {"name": "short"}


EXPERIMENT = Experiment(
    name="toy-box",
    scripts=Path(__file__).parent / "scripts",
    plan=PlanFormat(load, lambda plan: [f"{plan['name']}: a toy"]),
    stages=(Stage("run", "Measure a toy.", lambda context, plan: None, "new"),),
    tasks=(
        Task("wind-up", "Wind a toy up.", lambda r: print(r.integer("turns", 1, 9)), (Option("turns", "how often"),)),
    ),
    all_help="Run, collect, and report.",
)
"""


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project, with a folder for one more experiment."""
    tmp_path = tmp_path_factory.mktemp("tree")
    (tmp_path / "workloads" / "toy_box").mkdir(parents=True)
    (tmp_path / "workloads" / "toy_box" / "__init__.py").touch()
    (tmp_path / "workloads" / "toy_box" / "experiment.py").write_text(TOY)
    for name in ("fabfile.py", "inventory", "documents"):
        (tmp_path / name).symlink_to(PROJECT / name)
    for path in (PROJECT / "workloads").iterdir():
        if path.name != "__pycache__":
            (tmp_path / "workloads" / path.name).symlink_to(path)
    return tmp_path


def test_its_tasks_are_there(tree: Path) -> None:
    listing = fab("--list", "--list-format=json", project=tree)
    help_of_run = fab("--help", "toy-box.run", project=tree)
    listed = json.loads(listing.stdout)
    tasks = {group["name"]: {task["name"] for task in group["tasks"]} for group in listed["collections"]}
    assert tasks["toy-box"] == {"plan", "run", "wind-up", "collect", "all"}
    assert len(tasks) >= 7, "the others are found in the same way"
    assert "Measure a toy." in help_of_run.stdout
    assert all(f"--{option}=STRING" in help_of_run.stdout for option in ("stack", "inventory", "plan"))


def test_they_run_and_fail_as_all_do(tree: Path) -> None:
    plan, no_such_plan, no_inventory, turned, too_often = (
        fab(*words.split(), project=tree)
        for words in (
            "toy-box.plan",
            "toy-box.run --plan long --inventory nowhere.json",
            "toy-box.run --inventory nowhere.json",
            "toy-box.wind-up --turns 3",
            "toy-box.wind-up --turns often",
        )
    )
    assert plan.stdout.split() == ["plan", "short:", "a", "toy"]
    refused = (no_such_plan.returncode, no_such_plan.stderr)
    assert refused == (1, "tidemark: --plan long: no such plan; give short\n")
    assert no_inventory.stderr.startswith("tidemark: --inventory nowhere.json: cannot be read")
    assert turned.stdout == "3\n"
    assert too_often.stderr == "tidemark: --turns often is out of range; allowed are 1 to 9\n"
