"""Moving the address: who has it afterwards, what is recorded, what a silent host, a killed run, a second run do."""

from __future__ import annotations

import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import pytest

from lab.paths import PROJECT
from tests.instances import launch
from tests.workloads.eip_region.world import World, make_world
from workloads.deployment import local_versions
from workloads.eip_region import address as addresses
from workloads.eip_region import probe
from workloads.eip_region import remap as remaps
from workloads.eip_region.address import MoveJournal, address_lock
from workloads.eip_region.remap import check_zones, remap
from workloads.errors import WorkloadError
from workloads.results import Results


def remapped(world: World, to: str | None = None, times: int = 1) -> list[dict[str, Any]]:
    context = world.context()
    return remap(context, None if to is None else context.inventory.host(to), times)


def test_it_moves_and_each_move_is_recorded(world: World) -> None:
    world.give_to("host-1")
    context = world.context()
    context.results = Results.start(context.inventory, versions=local_versions())
    made = remap(context, context.inventory.host("host-2"), 3)
    assert [(each["source"], each["target"]) for each in made] == [
        ("host-1", "host-2"),
        ("host-2", "host-1"),
        ("host-1", "host-2"),
    ]
    assert world.holder() == "host-2"
    recorded = context.results.records("moves")
    assert [record["move"] for record in recorded] == [1, 2, 3]
    for record in recorded:
        probes = [probe for probe in context.results.records("probes") if probe["move"] == record["move"]]
        before = {probe["host"] for probe in probes if probe["ended_unix_s"] < record["asked_unix_s"]}
        assert before == {record["source"]}
        assert sum(probe["host"] == record["target"] for probe in probes) >= context.plan.confirmations
        assert record["asked_unix_s"] <= record["answered_unix_s"] <= record["shown_unix_s"]
        assert record["shown_unix_s"] <= record["confirmed_unix_s"]
        assert 0 <= record["delay_s"] <= record["interval_s"] == context.pace.interval_seconds
        assert (record["source_zone"], record["target_zone"], record["rolled_back"]) in (
            ("eu-central-1a", "eu-central-1b", False),
            ("eu-central-1b", "eu-central-1a", False),
        )


def test_a_host_that_has_it_is_left_alone(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.give_to("host-2")
    assert remapped(world, "host-2") == []
    assert world.holder() == "host-2"
    assert "host-2 has 203.0.113.9" in capsys.readouterr().out


def test_several_moves_begin_from_whoever_has_it(world: World) -> None:
    world.give_to("host-2")
    assert [each["target"] for each in remapped(world, "host-2", 2)] == ["host-1", "host-2"]


def test_an_address_that_nobody_has_goes_to_the_other_host_first(world: World) -> None:
    (made,) = remapped(world, "host-1")
    assert (made["source"], made["target"]) == ("host-2", "host-1")


def test_a_silent_new_host_and_the_address_is_back(world: World) -> None:
    world.give_to("host-1")
    world.silent.add("host-2")
    context = world.context()
    context.results = Results.start(context.inventory, versions=local_versions())
    with pytest.raises(WorkloadError) as refused:
        remap(context, context.inventory.host("host-2"), 5)
    assert str(refused.value).startswith(
        f"host-2: it does not answer at 203.0.113.9 ({world.allocation_id}) 1 s after it got the address, which was "
        "moved back to host-1; that answers again; see whether it runs"
    )
    assert world.holder() == "host-1"
    (record,) = context.results.records("moves")
    assert (record["rolled_back"], record["confirmed_unix_s"]) == (True, None)
    assert record["reason"] == "host-2 did not answer for 1 s"
    assert MoveJournal(world.allocation_id).pending() is None
    world.silent.clear()
    assert [each["target"] for each in remapped(world, "host-2")] == ["host-2"]


def test_when_neither_answers_any_more_it_says_so_and_the_note_stays(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.give_to("host-1")
    give_to = addresses.Address.give_to

    def fall_silent(self: addresses.Address, host: object) -> object:
        world.silent |= {"host-1", "host-2"}
        return give_to(self, host)  # type: ignore[arg-type]

    monkeypatch.setattr(addresses.Address, "give_to", fall_silent)
    with pytest.raises(
        WorkloadError, match=r"host-2 does not answer at .*, nor does host-1, to which it was given back"
    ):
        remapped(world, "host-2")
    assert MoveJournal(world.allocation_id).pending() is not None


def test_a_holder_that_does_not_answer_and_nothing_is_moved(world: World) -> None:
    """As behind a closed security group."""
    world.give_to("host-1")
    world.silent.add("host-1")
    with pytest.raises(WorkloadError) as refused:
        remapped(world, "host-2")
    assert str(refused.value) == (
        f"host-1: it has 203.0.113.9 ({world.allocation_id}) and does not answer at port 22 (no answer in 1 s); see "
        "whether it runs, and whether its security group lets this machine in at port 22"
    )
    assert world.holder() == "host-1"
    assert MoveJournal(world.allocation_id).pending() is None


@pytest.mark.parametrize(
    ("holder", "silent", "after"),
    [
        ("host-2", set(), "host-2"),  # it had come to its end, but for the answer
        ("host-1", set(), "host-1"),  # it had not begun
        ("host-2", {"host-2"}, "host-1"),  # nobody would have answered
        (None, set(), "host-1"),
    ],
)
def test_a_move_that_was_cut_short_is_put_right(holder: str | None, silent: set[str], after: str, world: World) -> None:
    if holder is not None:
        world.give_to(holder)
    world.silent |= silent
    unfinished = MoveJournal(world.allocation_id)
    unfinished.begin("host-1", "host-2")
    context = world.context()
    assert remaps.settle(context, None).name == after
    assert world.holder() == after
    assert unfinished.pending() is None


def test_a_run_that_is_killed_in_the_middle_leaves_a_note(world: World, tmp_path: Path) -> None:
    """The note is written before the API is asked: whenever the process dies, the next one knows."""
    give = "raise SystemExit(9)"
    code = (
        "from pathlib import Path; from workloads.eip_region.address import MoveJournal; "
        f"MoveJournal('eipalloc-1', Path({str(tmp_path)!r})).begin('host-1', 'host-2'); {give}"
    )
    subprocess.run([sys.executable, "-c", code], cwd=PROJECT, check=False)
    begun = MoveJournal("eipalloc-1", tmp_path).pending()
    assert begun is not None
    assert (begun.source, begun.target) == ("host-1", "host-2")


HOLD = """
import sys, time
from pathlib import Path
from typing import Any
from workloads.eip_region.address import address_lock
with address_lock("eipalloc-1", "eip-region.remap", Path(sys.argv[1])):
    print("has it", flush=True)
    time.sleep(60)
"""


def test_the_second_of_two_is_refused_and_told_who_is_first(tmp_path: Path) -> None:
    first = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], cwd=PROJECT, stdout=subprocess.PIPE, text=True
    )
    try:
        assert first.stdout is not None
        assert first.stdout.readline() == "has it\n"
        with pytest.raises(WorkloadError) as refused, address_lock("eipalloc-1", "eip-region.prove", tmp_path):
            pass
        assert str(refused.value).startswith(f"eipalloc-1 is being moved by eip-region.remap (process {first.pid} on ")
        assert str(refused.value).endswith("); wait for its end, or end it with Ctrl-C")
        with address_lock("eipalloc-2", "eip-region.remap", tmp_path):
            pass
    finally:
        first.send_signal(signal.SIGKILL)
        first.communicate()

    def free() -> bool:
        with address_lock("eipalloc-1", "eip-region.remap", tmp_path):
            return True

    assert free(), "the kernel let go of it"


def test_a_note_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    unfinished = MoveJournal("eipalloc-1", tmp_path)
    unfinished.begin("a", "b")
    (note,) = (tmp_path / "moves").glob("*.json")
    for damage in ("{", "[]", "{}", "\\udcff", "[" * 100_000):
        note.write_text(damage)
        with pytest.raises(WorkloadError, match=r"eipalloc-1.json cannot be read \(.*\); remove it"):
            unfinished.pending()


def test_somebody_elses_host_has_it(world: World) -> None:
    (other,) = launch(world.ec2)
    world.ec2.associate_address(AllocationId=world.allocation_id, InstanceId=other)
    with pytest.raises(WorkloadError) as refused:
        remapped(world, "host-2")
    assert str(refused.value) == (
        f"203.0.113.9 ({world.allocation_id}) is associated with {other}, which is no host of eip-region.test; give "
        "the stack another address, or set tidemark:reassociate true to take it from there"
    )


def test_unless_it_may_be_taken_from_there(account: None, monkeypatch: pytest.MonkeyPatch) -> None:
    ec2 = boto3.client("ec2", region_name="eu-central-1")
    made = make_world(ec2)
    allowed = {"id": made.allocation_id, "address": "203.0.113.9", "allocated": False, "reassociate": True}
    world = make_world(ec2, elastic_ips=[allowed])
    monkeypatch.setattr(probe, "probe", world.probe)
    made.give_to("host-1")
    (move,) = remapped(world, "host-2")
    assert (move["source"], move["target"]) == ("host-1", "host-2")
    assert world.holder() == "host-2"


def test_hosts_of_one_zone_are_refused(world: World) -> None:
    check_zones(world.inventory)
    one_zone = tuple(replace(host, zone="eu-central-1a") for host in world.inventory.hosts)
    with pytest.raises(WorkloadError, match="all hosts are in eu-central-1a; a move across zones needs hosts in two"):
        check_zones(replace(world.inventory, hosts=one_zone))


def test_ctrl_c_in_the_middle_leaves_a_note_that_the_next_run_reads(
    world: World, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    world.give_to("host-1")
    unfinished = MoveJournal(world.allocation_id)

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as pressed:
        pressed.setattr(addresses.Address, "await_shown", interrupted)
        with pytest.raises(KeyboardInterrupt):
            remapped(world, "host-2")
    assert unfinished.pending() is not None
    assert world.holder() == "host-2"
    assert remapped(world, "host-2") == []
    said = capsys.readouterr().out
    assert "was cut short; host-2 has it" in said
    assert "host-2 answers at 203.0.113.9" in said
    assert unfinished.pending() is None
