"""An experiment is added by its folder alone: its tasks appear, with their options, help and one-line errors."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

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


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """The project, with a folder for one more experiment."""
    (tmp_path / "workloads" / "toy_box").mkdir(parents=True)
    (tmp_path / "workloads" / "toy_box" / "__init__.py").touch()
    (tmp_path / "workloads" / "toy_box" / "experiment.py").write_text(TOY)
    for name in ("fabfile.py", "inventory.py"):
        (tmp_path / name).symlink_to(PROJECT / name)
    for path in (PROJECT / "workloads").iterdir():
        if path.name != "__pycache__":
            (tmp_path / "workloads" / path.name).symlink_to(path)
    return tmp_path


def fab(tree: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "fabric", *words]
    return subprocess.run(command, cwd=tree, capture_output=True, text=True, timeout=60, check=False)


def test_its_tasks_are_there(tree: Path) -> None:
    listed = json.loads(fab(tree, "--list", "--list-format=json").stdout)
    tasks = {group["name"]: {task["name"] for task in group["tasks"]} for group in listed["collections"]}
    assert tasks["toy-box"] == {"plan", "run", "wind-up", "collect", "all"}
    assert len(tasks) >= 7, "the others are found in the same way"
    help_of_run = fab(tree, "--help", "toy-box.run").stdout
    assert "Measure a toy." in help_of_run
    assert all(f"--{option}=STRING" in help_of_run for option in ("stack", "inventory", "plan"))


def test_they_run_and_fail_as_all_do(tree: Path) -> None:
    assert fab(tree, "toy-box.plan").stdout.split() == ["plan", "short:", "a", "toy"]
    refused = fab(tree, "toy-box.run", "--plan", "long", "--inventory", "nowhere.json")
    assert (refused.returncode, refused.stderr) == (1, "tidemark: --plan long: no such plan; give short\n")
    refused = fab(tree, "toy-box.run", "--inventory", "nowhere.json")
    assert refused.stderr.startswith("tidemark: --inventory nowhere.json: cannot be read")
    assert fab(tree, "toy-box.wind-up", "--turns", "3").stdout == "3\n"
    refused = fab(tree, "toy-box.wind-up", "--turns", "often")
    assert refused.stderr == "tidemark: --turns often is out of range; allowed are 1 to 9\n"
