"""Measuring cells: what becomes of one that fails or is interrupted, and how a run ends."""

from __future__ import annotations

import pytest

from inventory import Inventory
from tests.workloads.fakes import FakeHosts
from workloads.cells import CellOutcome, CellRun, IncompleteError
from workloads.console import Console
from workloads.deployment import Deployment
from workloads.errors import WorkloadError
from workloads.results import Results


@pytest.fixture
def deployment(inventory: Inventory) -> Deployment:
    hosts = FakeHosts(inventory, lambda *_: "")
    return Deployment(hosts, Console(), Results.start(inventory))


def fails(error: BaseException) -> CellOutcome:
    raise error


def test_each_cell_leaves_a_record_and_a_line(deployment: Deployment, capsys: pytest.CaptureFixture[str]) -> None:
    run = CellRun(deployment, 2)
    run.measure_cell({"cell": "good", "op": "read"}, lambda: CellOutcome("5 op/s", None, {"bytes": 7}))
    run.measure_cell({"cell": "bad", "op": "read"}, lambda: CellOutcome("1 op/s", "3 reads failed"))
    run.finish()
    assert deployment.results.records("cells") == [
        {"cell": "good", "op": "read", "bytes": 7, "complete": True, "reason": None},
        {"cell": "bad", "op": "read", "complete": False, "reason": "3 reads failed"},
    ]
    said = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert said[0] == ["run", "1/2", "good", "5", "op/s"]
    assert said[1] == ["run", "2/2", "bad", "1", "op/s", "not", "complete:", "3", "reads", "failed"]
    assert said[2][:5] == ["run", "1", "of", "2", "cells"]
    assert [step["name"] for step in deployment.results.manifest["steps"]] == ["run"]
    with pytest.raises(IncompleteError, match=r"^client: 1 of 2 .* the first: bad \(3 reads failed\); run again$"):
        run.raise_incomplete("run again", "client")


def test_a_fault_of_one_cell_does_not_end_the_run_unless_it_should(deployment: Deployment) -> None:
    run = CellRun(deployment, 2)
    fault = WorkloadError("the connection broke", "see why", "client")
    assert run.measure_cell({"cell": "first"}, lambda: fails(fault)).reason == "the connection broke"
    with pytest.raises(WorkloadError, match="the connection broke"):
        run.measure_cell({"cell": "second"}, lambda: fails(fault), raise_faults=True)
    assert [record["reason"] for record in deployment.results.records("cells")] == ["the connection broke"] * 2


@pytest.mark.parametrize(
    ("error", "reason"),
    [(KeyboardInterrupt(), "interrupted"), (SystemExit(143), "interrupted"), (ValueError("odd"), "odd")],
)
def test_an_interrupt_is_recorded_and_raised(deployment: Deployment, error: BaseException, reason: str) -> None:
    with pytest.raises(type(error)):
        CellRun(deployment, 1).measure_cell({"cell": "first"}, lambda: fails(error))
    (record,) = deployment.results.records("cells")
    assert (record["complete"], record["reason"]) == (False, reason)


def test_a_run_of_complete_cells_raises_nothing(deployment: Deployment) -> None:
    run = CellRun(deployment, 1)
    run.measure_cell({"cell": "good"}, CellOutcome)
    run.raise_incomplete("run again")
