"""Plans as they are read, and what a person may type."""

from __future__ import annotations

from pathlib import Path

import pytest

from inventory import Inventory, InventoryError
from tests.workloads.call_task import call_task
from tests.workloads.eip_region.world import PLAN, eip_document
from tests.workloads.fakes import inventory_of
from workloads.eip_region import plan as plans
from workloads.eip_region.address import address_lock, elastic_ip_of
from workloads.eip_region.experiment import EXPERIMENT
from workloads.errors import WorkloadError
from workloads.results import Results


def inventory(**changes: object) -> Inventory:
    ids = ("i-0123456789abcdef0", "i-0123456789abcdef1")
    return inventory_of(eip_document(ids, "eipalloc-1", "203.0.113.9", **changes))


def test_both_plans_are_read() -> None:
    short, full = plans.Plan.load(None), plans.Plan.load("full")
    assert (short.name, full.name) == ("short", "full")
    assert short.pace(rehearsal=False).interval_seconds == 0.05
    assert short.pace(rehearsal=True).interval_seconds == 0.25
    assert full.moves == 20


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("moves = 2", "moves = 0", "plan.toml: moves is 0; expected a whole number from 1 to 1000"),
        ("moves = 2", "", "plan.toml: moves is missing; expected a whole number from 1 to 1000"),
        ("at_once = 10", "at_once = 1.5", "plan.toml: aws.at_once is 1.5; expected a whole number from 1 to 200"),
        (
            "interval_ms = 30",
            "interval_ms = 5",
            "plan.toml: rehearsal.interval_ms is 5; expected a whole number of milliseconds from 10",
        ),
        ("confirmations = 2", "confirm = 2", "plan.toml: confirm is not a field; did you mean confirmations?"),
        (
            "answer_seconds = 2",
            "answer_seconds = 2\nspeed = 1",
            "plan.toml: speed is not a field; allowed are name, moves, before_seconds",
        ),
        ("[rehearsal]", "[rehearsals]", "plan.toml: rehearsals is not a field; did you mean rehearsal?"),
        (
            "answer_seconds = 2",
            "answer_seconds = 1",
            "plan.toml: answer_seconds is 1; expected a number of seconds from 2",
        ),
    ],
)
def test_a_wrong_plan_is_one_line(old: str, new: str, words: str) -> None:
    with pytest.raises(WorkloadError) as refused:
        plans.Plan.read(PLAN.replace(old, new, 1), "plan.toml")
    assert str(refused.value).startswith(words)
    assert "\n" not in str(refused.value)


def test_a_plan_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    call_task(EXPERIMENT, "plan")
    said = " ".join(capsys.readouterr().out.split())
    assert "short: 4 moves, a connection each 50 ms on AWS" in said
    assert "short: 4 moves, a connection each 250 ms in a rehearsal" in said


@pytest.mark.parametrize("times", ["0", "-1", "1001", "often"])
def test_times_have_bounds(times: str) -> None:
    with pytest.raises(WorkloadError, match=f"--times {times} is out of range; allowed are 1 to 1000"):
        call_task(EXPERIMENT, "remap", inventory="nowhere.json", to="host-1", times=times)


def test_an_unknown_host_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "hosts.json"
    file.write_text(inventory().to_json())
    with pytest.raises(InventoryError, match="no host is named host-9; its hosts are host-1, host-2"):
        call_task(EXPERIMENT, "remap", inventory=str(file), to="host-9")


def test_an_inventory_without_an_address_is_one_line() -> None:
    with pytest.raises(WorkloadError, match=r"eip-region\.test: no elastic_ips in the inventory; eip-region needs one"):
        elastic_ip_of(inventory(elastic_ips=None))


def test_machines_of_ones_own_have_no_address_to_move() -> None:
    document = eip_document(("i-0123456789abcdef0", "rack-7"), "eipalloc-1", "203.0.113.9")
    with pytest.raises(WorkloadError, match="host-2: id rack-7 is no instance of EC2; an Elastic IP moves between"):
        elastic_ip_of(inventory_of(document))


def test_a_second_task_is_refused_and_leaves_the_results_of_the_first_alone(tmp_path: Path) -> None:
    file = tmp_path / "hosts.json"
    file.write_text(inventory().to_json())
    results = Results.start(inventory())
    before = (results.directory / "manifest.json").read_text()
    with address_lock("eipalloc-1", "eip-region.remap"):
        for task, options in (("remap", {"to": "host-1"}), ("prove", {})):
            with pytest.raises(WorkloadError, match=r"eipalloc-1 is being moved by eip-region\.remap \(process "):
                call_task(EXPERIMENT, task, inventory=str(file), **options)
    assert (results.directory / "manifest.json").read_text() == before
    assert [path.name for path in results.directory.parent.iterdir()] == [results.directory.name]
