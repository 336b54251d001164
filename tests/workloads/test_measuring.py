"""Cells from a plan, the worker's lines, and what makes a measurement none."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest

from inventory import Inventory
from tests.workloads.call_task import call_task
from tests.workloads.fakes import fake_context, inventory_document, inventory_of, recorded, with_servers
from workloads.md_raid import plan as plans
from workloads.md_raid.experiment import EXPERIMENT
from workloads.md_raid.prove import mtu_proof, prove_closed_port
from workloads.md_raid.topology import Topology
from workloads.power import with_current_addresses
from workloads.sampling import host_record
from workloads.worker import LineReader, Outcome, arguments


def final(**changes: Any) -> dict[str, Any]:
    """A worker's last line."""
    record = {"kind": "final", "ops": 10, "bytes": 40960, "errors": {}, "t_start_unix_s": 1.0, "t_end_unix_s": 2.0}
    return record | changes


def test_both_plans_are_read_and_fit(topology: Topology) -> None:
    for name in ("short", "full"):
        plan = plans.Plan.load(name)
        assert plan.name == name
        plans.check(plan, topology)


def test_cells_of_the_short_plan(topology: Topology) -> None:
    cells = plans.cells(plans.Plan.load("short"), topology)
    by_name = {cell.name: cell for cell in cells}
    assert len(by_name) == len(cells) == 18
    stripe = by_name["stripe-3x3-sequential"]
    assert (stripe.servers, stripe.disks, stripe.copies) == (3, 9, None)
    assert stripe.legs == tuple(mirror.legs for mirror in topology.mirrors[:3])
    assert (stripe.depth, stripe.threads_per_device) == (36, 36)
    raw = by_name["raw-3x5-random"]
    assert (raw.servers, raw.disks, raw.devices, raw.depth, raw.threads_per_device) == (3, 15, 15, 240, 16)
    # Raw cells of all servers read the disks of the stripe over as many mirrors.
    assert raw.legs == tuple(mirror.legs for mirror in topology.mirrors)
    of_one = by_name["raw-1x5-sequential"]
    assert {leg.server for legs in of_one.legs for leg in legs} == {"storage-1"}
    # A stripe over fewer servers has temporary mirrors over the legs of the first.
    two = by_name["stripe-2x5-sequential"]
    assert (two.copies, len(two.legs), {len(legs) for legs in two.legs}) == ("o2", 5, {2})
    layouts = [cell for cell in cells if cell.layout == "mirror"]
    assert [cell.copies for cell in layouts] == ["raid1", "raid1-rotational", "o3"]
    assert {(cell.threads_per_device, cell.buffered, cell.legs) for cell in layouts} == {
        (1, True, (topology.mirrors[0].legs,))
    }
    # Each set of devices is put together once, and read by every pattern.
    sets = [cell.device_set for cell in cells]
    assert len([first for first, second in pairwise(sets) if first != second]) == len(set(sets)) - 1


@pytest.mark.parametrize("servers", [2, 3, 5, 8])
@pytest.mark.parametrize("name", ["short", "full"])
def test_cells_for_any_number_of_servers(name: str, servers: int) -> None:
    found = Topology.of(inventory_of(with_servers(servers)))
    plan = plans.Plan.load(name)
    plans.check(plan, found)
    cells = plans.cells(plan, found)
    assert len({cell.name for cell in cells}) == len(cells)
    sequential = [cell for cell in cells if cell.pattern.name == "sequential" and not cell.writes]
    for layout, one in (("raw", "raw-1x5"), ("stripe", "stripe-1x5")):
        # The growth with servers, from one to all, with five volumes of each; and that with volumes, of all servers.
        grown = {cell.servers for cell in sequential if cell.layout == layout and cell.volumes == 5}
        assert grown == set(range(1, servers + 1))
        assert f"{one}-sequential" in {cell.name for cell in sequential}
        assert {1, 3, 5} <= {cell.volumes for cell in sequential if cell.layout == layout and cell.servers == servers}
    assert "raw-1x1-sequential" in {cell.name for cell in sequential}
    letters = "nfo" if name == "full" else "o"
    copies = {cell.copies for cell in cells if cell.layout == "mirror"}
    assert copies == {"raid1", "raid1-rotational", *(f"{letter}{servers}" for letter in letters)}
    assert max(cell.threads_per_device for cell in cells) <= plans.THREADS_MAX
    assert [cell for cell in cells if cell.writes] == cells[len(cells) - sum(cell.writes for cell in cells) :]
    if servers == 8:
        assert next(cell for cell in cells if cell.name == "stripe-8x5-random").depth == 640


def test_a_plan_says_how_long_it_takes(capsys: pytest.CaptureFixture[str]) -> None:
    call_task(EXPERIMENT, "plan", plan="full")
    said = " ".join(capsys.readouterr().out.split())
    assert (
        "full, with 3 servers: 54 cells (14 read raw, 14 of stripes, 20 of one mirror's layouts, 6 that write; "
        "20 sets of devices), 48 minutes of measuring"
    ) in said
    assert "the drill: at least 3 minutes of reads" in said


def test_a_topology_with_fewer_volumes() -> None:
    document = inventory_document()
    for host in document["hosts"]:
        host["volumes"] = host["volumes"][:2]
    topology = Topology.of(inventory_of(document))
    assert [mirror.name for mirror in topology.mirrors] == ["md1", "md2"]


def test_the_workers_arguments() -> None:
    words = arguments(["/dev/md99"], pattern="random", request_bytes=4096, threads=32, seconds=2.0, warmup_seconds=0.5)
    assert " ".join(words) == (
        "--file /dev/md99 --op read --pattern random --size 4096 --threads 32"
        " --duration 2 --warmup 0.5 --seed 1 --direct"
    )
    words = arguments(["/dev/md98"], pattern="random", request_bytes=4096, threads=1, seconds=2, buffered=True)
    assert "--direct" not in words
    assert "--overwrite" not in words
    writes = arguments(
        ["/dev/md98"],
        operation="write",
        pattern="sequential",
        request_bytes=4096,
        threads=1,
        seconds=2,
        overwrite=True,
        span_bytes=8192,
        seed=7,
    )
    assert writes[writes.index("--op") + 1] == "write"
    assert writes[-3:] == ["--overwrite", "--span", "8192"]


def test_the_workers_lines_are_sorted() -> None:
    records: list[dict[str, Any]] = []
    pids: list[int] = []
    reader = LineReader(records.append, pids.append)
    for line in (
        '{"kind": "array", "when": "before", "array": "md1", "degraded": 0}',
        '{"kind": "disks", "when": "before", "read_bytes": {"/dev/sda": 100, "/dev/sdb": 50}}',
        '{"kind": "started", "pid": 77}',
        '{"kind": "interval", "second": 0}',
        "words",
        json.dumps(final(errors={"EIO": 2})),
        '{"kind": "disks", "when": "after", "read_bytes": {"/dev/sda": 700, "/dev/sdb": 50, "/dev/sdc": 9}}',
        '{"kind": "array", "when": "after", "array": "md2", "degraded": 1}',
        '{"kind": "array", "when": "before", "array": "md3", "degraded": 1}',
        '{"changed": 0}',
    ):
        reader(line)
    assert [record["kind"] for record in records] == ["interval", "final"]
    assert pids == [77]
    outcome = reader.outcome
    assert (outcome.errors, outcome.degraded) == (2, frozenset({"md2", "md3"}))
    # A disk that came meanwhile was read from before anybody counted.
    assert outcome.read_bytes == {"/dev/sda": 600, "/dev/sdb": 0, "/dev/sdc": 0}


@pytest.mark.parametrize(
    ("outcome", "reason"),
    [
        (Outcome(final()), None),
        (Outcome(None), "the worker ended without a final line"),
        (Outcome(final(errors={"EIO": 2})), "2 reads failed (EIO)"),
        (Outcome(final(ops=0)), "not one read ended"),
        (Outcome(final(), frozenset({"md4", "md1"})), "md1, md4 lacked a leg"),
    ],
)
def test_what_is_no_measurement(outcome: Outcome, reason: str | None) -> None:
    assert outcome.fault("read") == reason


def test_a_sample() -> None:
    line = (
        '{"t_unix_s": 1.5, "busy": 25, "total": 100, "nic_rx_bytes": 7, "nic_tx_bytes": 8, '
        '"nic_rx_packets": 5, "nic_tx_packets": 6, "mem_available_bytes": 9}'
    )
    assert host_record("client", line) == {
        "t_unix_s": 1.5,
        "host": "client",
        "cpu_busy_ratio": 0.25,
        "nic_rx_bytes": 7,
        "nic_tx_bytes": 8,
        "nic_rx_packets": 5,
        "nic_tx_packets": 6,
        "mem_available_bytes": 9,
    }


@pytest.mark.parametrize(
    ("largest", "one_more", "passed"),
    [
        ("ping-8973.txt", "ping-8974.txt", True),
        ("ping-lost.txt", "ping-8974.txt", False),
        ("ping-8973.txt", "ping-8973.txt", False),
        ("mdstat-whole.txt", "ping-8974.txt", False),
    ],
)
def test_the_mtu_is_proved_from_both_sides(largest: str, one_more: str, passed: bool) -> None:
    assert mtu_proof("a", "b", 8973, recorded(largest), recorded(one_more))["passed"] is passed


@pytest.mark.parametrize(
    ("locally", "closed_reached", "iscsi_reached", "passed"),
    [(True, False, True, True), (False, False, True, False), (True, True, True, False), (True, False, False, False)],
)
def test_a_closed_port_counts_only_beside_an_open_one(
    inventory: Inventory, locally: bool, closed_reached: bool, iscsi_reached: bool, passed: bool
) -> None:
    """A port without a listener, or a server that cannot be reached at all, proves nothing."""

    def answer(host: str, script: str, arguments: object) -> str:
        if script == "storage_listen":
            return json.dumps({"port": 4420, "answers_locally": locally})
        if script == "client_reach":
            return "\n".join(
                json.dumps({"to": f"storage-{number}", "port": port, "reached": reached})
                for number in (1, 2, 3)
                for port, reached in ((4420, closed_reached), (3260, iscsi_reached))
            )
        return '{"changed": 0}'

    context, hosts = fake_context(inventory, answer)
    assert [proof["passed"] for proof in prove_closed_port(context)] == [passed] * 3
    assert [name for _, name, _ in hosts.sent][-3:] == ["storage_unlisten"] * 3


def test_machines_of_ones_own_keep_their_addresses() -> None:
    document = inventory_document()
    for host in document["hosts"]:
        host["id"] = f"my-{host['name']}"
    inventory = inventory_of(document)
    assert with_current_addresses(inventory) is inventory
