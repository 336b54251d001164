"""Wrong inputs: each is one line that names the fault and the remedy, before any host is touched."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from inventory import InventoryError
from tests.report.run_builder import RunBuilder
from tests.workloads.call_task import call_task
from tests.workloads.fabric_task import fab
from tests.workloads.fakes import inventory_document, inventory_of, with_servers
from workloads.errors import WorkloadError
from workloads.host_keys import host_keys
from workloads.md_raid import plan as plans
from workloads.md_raid.experiment import EXPERIMENT
from workloads.md_raid.topology import Topology

PROJECT = Path(__file__).resolve().parents[2]
GOOD_PLAN = (PROJECT / "workloads/md_raid/plans/short.toml").read_text()

Change = Callable[[dict[str, Any]], object]


def hosts_of(document: dict[str, Any], role: str) -> list[dict[str, Any]]:
    return [host for host in document["hosts"] if host["role"] == role]


INVENTORIES: list[tuple[str, Change, str]] = [
    ("another experiment", lambda d: d.update(experiment="efs-iops"), "experiment is efs-iops; give the inventory of"),
    ("no client", lambda d: d["hosts"].pop(), "no host has the role client.*one client and 2 to 8 storage"),
    (
        "two clients",
        lambda d: hosts_of(d, "storage")[0].update(role="client"),
        "2 hosts have the role client; leave exactly one",
    ),
    (
        "one server",
        lambda d: d.update(hosts=d["hosts"][2:]),
        "1 host has the role storage; each mirror has one leg on each server: give 2 to 8",
    ),
    (
        "nine servers",
        lambda d: d["hosts"].extend(with_servers(9)["hosts"][3:9]),
        "9 hosts have the role storage.*give 2 to 8",
    ),
    (
        "a volume fewer",
        lambda d: d["hosts"][1]["volumes"].pop(),
        "storage-2 has 4.*give every storage server the same number",
    ),
    ("no volumes", lambda d: [host.update(volumes=[]) for host in d["hosts"]], "has 0.*at least 1"),
    (
        "small volumes",
        lambda d: d["hosts"][2]["volumes"][0].update(size_gib=15),
        "storage-3: volume .* has 15 GiB.*give volumes of 16 GiB or more",
    ),
    (
        "an id that is no name",
        lambda d: d["hosts"][0]["volumes"][0].update(id="../vol"),
        "storage-1: volume id '../vol' cannot stand in an IQN; use letters",
    ),
    ("no network", lambda d: d.pop("network"), "network is missing"),
    ("a misspelt field", lambda d: d["hosts"][0].update(adress="1.2.3.4"), r"hosts\[0\].adress is not a field"),
    ("a port too high", lambda d: d["hosts"][0].update(port=70000), r"hosts\[0\].port is 70000; expected"),
]


@pytest.mark.parametrize(("change", "expected"), [row[1:] for row in INVENTORIES], ids=[row[0] for row in INVENTORIES])
def test_inventories(change: Change, expected: str) -> None:
    document = copy.deepcopy(inventory_document())
    change(document)
    with pytest.raises((WorkloadError, InventoryError), match=expected) as caught:
        Topology.of(inventory_of(document))
    assert "\n" not in str(caught.value)


PLANS: list[tuple[str, str, str, str]] = [
    ("not TOML", "name =", "name ==", "not TOML.*line 4"),
    ("a field missing", "depth = 4\n", "\n", r"pattern\[0\].depth is missing; expected a whole number from 1 to 1024"),
    (
        "a field unknown",
        "raw_volumes = [5]",
        "raw_volums = [5]",
        r"pattern\[1\].raw_volums is not a field; did you mean raw_volumes",
    ),
    (
        "no time",
        "measured_seconds = 2",
        "measured_seconds = 0",
        "measured_seconds is 0; expected a number of seconds from 0.5",
    ),
    ("time in words", "measured_seconds = 2", 'measured_seconds = "2s"', 'measured_seconds is "2s"; expected'),
    ("unaligned reads", "request_bytes = 4096", "request_bytes = 4000", "request_bytes is 4000; expected"),
    ("a pattern that writes", 'name = "random"', 'name = "write"', "expected one of sequential, random"),
    (
        "a pattern twice",
        'name = "random"',
        'name = "sequential"',
        r"pattern\[1\].name is sequential, as is pattern\[0\].name; each must be different",
    ),
    (
        "a stripe over nothing",
        "stripe_mirrors = [1, 3,",
        "stripe_mirrors = [0, 3,",
        r"stripe_mirrors\[0\] is 0; expected a whole number from 1 to 90",
    ),
    (
        "nine servers",
        "raw_servers = [1, 2, 3, 4, 5, 6, 7, 8]",
        "raw_servers = [1, 2, 9]",
        r"raw_servers\[2\] is 9; expected a whole number from 1 to 8",
    ),
    ("a yes for a number", "depth = 16", "depth = true", r"pattern\[1\].depth is true; expected a whole number"),
    (
        "a layout of another level",
        '"offset"]',
        '"left-symmetric"]',
        r"layouts.names\[2\] is .*; expected one of raid1, raid1-rotational, near",
    ),
]


@pytest.mark.parametrize(("old", "new", "expected"), [row[1:] for row in PLANS], ids=[row[0] for row in PLANS])
def test_plans(old: str, new: str, expected: str) -> None:
    assert old in GOOD_PLAN
    with pytest.raises(WorkloadError, match=expected) as caught:
        plans.Plan.read(GOOD_PLAN.replace(old, new, 1), "plan.toml")
    assert str(caught.value).startswith("plan.toml: ")
    assert "\n" not in str(caught.value)


def test_a_plan_for_more_mirrors_than_there_are(topology: Topology) -> None:
    plan = plans.Plan.read(GOOD_PLAN.replace("stripe_mirrors = [1, 3, 5]", "stripe_mirrors = [6]"), "plan.toml")
    with pytest.raises(WorkloadError, match=r"pattern\.stripe_mirrors asks for 6, there are 5 mirrors; give at most 5"):
        plans.check(plan, topology)


def test_a_host_without_keys_that_is_no_instance() -> None:
    document = inventory_document()
    document["hosts"][3].update(id="the-old-box", host_keys=[])
    with pytest.raises(WorkloadError, match=r"client: host_keys is empty.*ssh_host_\*_key.pub"):
        host_keys(inventory_of(document))


def test_both_sources(tmp_path: Path) -> None:
    with pytest.raises(WorkloadError, match="both --stack and --inventory are given; give one of them"):
        call_task(EXPERIMENT, "configure", stack="md-raid.lab", inventory=str(tmp_path / "hosts.json"))


def test_no_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEMARK_WORKER", str(tmp_path / "worker"))
    file = tmp_path / "hosts.json"
    file.write_text(json.dumps(inventory_document()))
    with pytest.raises(WorkloadError, match=r"the worker is not at .*; compile it with `make worker`"):
        call_task(EXPERIMENT, "run", inventory=str(file))


COMMANDS: list[tuple[list[str], str]] = [
    (["md-raid.configure"], "no rehearsal is running"),
    (["md-raid.configure", "--inventory", "absent.json"], "absent.json: cannot be read (No such file"),
    (["md-raid.prove", "--inventory", "pyproject.toml"], "is not JSON"),
    (["md-raid.run", "--plan", "shrot"], "--plan shrot: no such plan"),
    (["md-raid.drill", "--stack", "--help-me"], "is not a stack's name"),
]


def test_commands(tmp_path: Path) -> None:
    """As a person types them: one line on standard error, an exit code, no traceback."""
    worker = tmp_path / "worker"
    worker.write_bytes(b"\x7fELF")
    for words, expected in COMMANDS:
        done = fab(*words, TIDEMARK_WORKER=str(worker))
        assert done.returncode == 1, done
        assert expected in done.stderr
        assert done.stderr.startswith("tidemark: "), done
        assert len(done.stderr.strip().splitlines()) == 1, done
        assert "Traceback" not in done.stdout + done.stderr


def test_a_report_of_no_run_is_one_line(tmp_path: Path) -> None:
    """An empty name is that of a variable that is not set, and not the newest run. A damaged run hides no other."""
    root = str(tmp_path)
    done = fab("report", TIDEMARK_RESULTS_DIR=root)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"report: {tmp_path}: no run is there; `fab NAME.run` of an experiment makes one\n"
    run = RunBuilder(seconds=2).write(tmp_path)
    damaged = run.with_name("2026-12-01T000000Z")
    damaged.mkdir()
    done = fab("report", "--run=", TIDEMARK_RESULTS_DIR=root)
    assert (done.returncode, done.stderr) == (2, "report: '' names no run directory\n"), done
    done = fab("report", TIDEMARK_RESULTS_DIR=root)
    assert (done.returncode, done.stderr) == (0, f"report: {damaged}: damaged: no manifest.json\n")
    assert (run / "report.html").is_file()


def test_every_task_is_described_in_one_sentence() -> None:
    """Asked for as JSON: how lines break depends on the longest name and on the terminal."""
    done = fab("--list", "--list-format=json")
    top = json.loads(done.stdout)
    listed = [*top["tasks"], *(task for group in top["collections"] for task in group["tasks"])]
    assert len(listed) >= 11
    for task in listed:
        assert len((task["help"] or "").split()) >= 3, f"{task['name']} is not described"
