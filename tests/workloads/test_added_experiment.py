"""An experiment is added by its folder alone: its tasks appear, with their options, help and one-line errors."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from invoke.context import Context
from invoke.exceptions import Exit

from tests.workloads.fabric_task import fab
from workloads.errors import WorkloadError
from workloads.experiment import Experiment, Request, Stage
from workloads.fabric_tasks import experiment_tasks
from workloads.inventory_example import example_json
from workloads.paths import PROJECT

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


@pytest.mark.parametrize(
    ("rehearsal", "more"),
    [
        (False, "`fab toy-box.collect --inventory {file}` fetches the hosts' logs"),
        (True, "`make rehearse EXPERIMENT=toy-box KEEP=1` leaves the hosts up; then `fab lab.ssh HOST` logs in to one"),
    ],
)
@pytest.mark.parametrize("reached", [True, False])
def test_a_failure_on_hosts_names_the_command_that_shows_more(
    tmp_path: Path, rehearsal: bool, more: str, reached: bool
) -> None:
    """Where the hosts could not be reached there is nothing to fetch from them."""

    @contextmanager
    def connect(request: Request) -> Iterator[None]:
        if not reached:
            raise WorkloadError("SSH does not answer", "see whether it is up")
        yield None

    def fail(context: object, plan: object) -> None:
        raise WorkloadError("the disk is full", "make room", "client")

    document = json.loads(example_json("md-raid"))
    document["rehearsal"] = rehearsal
    file = tmp_path / "hosts.json"
    file.write_text(json.dumps(document))
    toy = Experiment(name="toy-box", scripts=tmp_path, connect=connect, stages=(Stage("run", "Measure.", fail),))
    with pytest.raises(Exit) as ended:
        experiment_tasks(toy)["run"](Context(), stack=None, inventory=str(file))
    fault = "client: the disk is full; make room" if reached else "SSH does not answer; see whether it is up"
    assert ended.value.message == f"tidemark: {fault}" + (f"\n    {more.format(file=file)}" if reached else "")
