"""`fab inventory.example EXPERIMENT`: what it prints is taken by that experiment's own checks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest

from inventory import Inventory
from lab.paths import PROJECT
from schemas.write import SCHEMAS
from tests.workloads.fabric_task import fab
from workloads.errors import WorkloadError
from workloads.experiment import Request, find_experiments
from workloads.inventory_example import example_json

EXPERIMENTS = {each.name: each for each in find_experiments()}


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_it_is_taken_with_other_addresses(experiment: str) -> None:
    text = example_json(experiment)
    jsonschema.validate(json.loads(text), json.loads((SCHEMAS / "inventory.schema.json").read_text()))
    mine: dict[str, Any] = json.loads(text.replace("192.0.2.", "10.9.8.").replace("198.51.100.", "10.9.8."))
    assert Path(mine["$schema"].removeprefix("file://")) == SCHEMAS / "inventory.schema.json"
    inventory = Inventory.from_json(json.dumps(mine), "mine.json")
    assert inventory.experiment == experiment
    found = EXPERIMENTS[experiment]
    options = {"plan": None, "client": None} if found.plan else {"client": None}
    found.check(inventory, Request(found, "run", options))


def test_an_experiment_that_is_not_there_is_one_line() -> None:
    with pytest.raises(WorkloadError, match="md: no such experiment; give one of efs-iops, eip-region, encrypted-"):
        example_json("md")


def test_the_task_prints_it() -> None:
    done = fab("inventory.example", "s3-throttle")
    assert (done.returncode, done.stdout) == (0, example_json("s3-throttle") + "\n")


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_has_read_enough_is_no_fault(unbuffered: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "fabric", "inventory.example", "s3-throttle"],
            cwd=PROJECT,
            env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
            stdout=writing,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (141, "")
