"""The program without the engine: its stack file, its journal, and a failure at each step of it."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from botocore.exceptions import ClientError
from pulumi.runtime.mocks import MockResourceArgs

from inventory import Inventory
from lab import program
from lab.clients import Clients
from lab.errors import LabError
from lab.leak_check import account_leftovers
from lab.provider import resources
from lab.stacks import stack_config
from tests.lab.conftest import REGION, Api

STACK = "md-raid.lab"
RESOURCES = 51  # 12 of the network's and the group's rules, 1 key, 1 placement group, 4 hosts, 15 volumes, attached
# Two volumes of what each server has several of.
SMALL = {"tidemark:volumesPerServer": "2"}
SMALL_RESOURCES = 33
LAST_TYPE = "aws:ec2/volumeAttachment:VolumeAttachment"

CallPoint = tuple[str, int]
"""The name of a resource, and which of the API calls of its creation: 0 is the first."""


def quiet(_: str) -> None:
    """Progress that nobody watches."""


class FailingApi:
    """Counts the API calls of each creation, and lets one of them fail before it reaches the API."""

    def __init__(self, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls: Counter[str] = Counter()
        self.types: dict[str, str] = {}
        self.fails_at: CallPoint | None = None
        self._creating = threading.local()  # the SDK creates in several threads
        self._clients = Clients(url, REGION)
        self._clients.ec2.meta.events.register("before-call.ec2", self._count)
        monkeypatch.setattr(program, "Clients", lambda *_: self._clients)
        new_resource = program.RegionMocks.new_resource

        def named(mocks: program.RegionMocks, args: MockResourceArgs) -> tuple[str | None, dict[Any, Any]]:
            self._creating.name = args.name if args.custom else None
            self.types[args.name] = args.typ
            try:
                return new_resource(mocks, args)
            finally:
                self._creating.name = None

        monkeypatch.setattr(program.RegionMocks, "new_resource", named)

    def _count(self, model: Any, **_: Any) -> None:
        name = getattr(self._creating, "name", None)
        if name is None:
            return
        point = (name, self.calls[name])
        self.calls[name] += 1
        if point == self.fails_at:
            raise ClientError({"Error": {"Code": "RequestLimitExceeded", "Message": "injected"}}, model.name)


@pytest.fixture
def deploy(api: Api, lab_folder: Path) -> Callable[..., program.Journal]:
    """Run the program of md-raid.lab, with the changes, against the API; the journal is what it made."""
    settings = stack_config(STACK, api.url)

    def run(changes: Mapping[str, str] = MappingProxyType({})) -> program.Journal:
        config = {**settings, **changes}
        journal = program.Journal(lab_folder / "journal.ndjson")
        program.run_program(STACK, config, api.url, REGION, journal, quiet)
        return journal

    return run


def test_a_failure_at_any_call_of_a_creation_of_any_type_leaves_nothing_after_destroy(
    api: Api, lab_folder: Path, deploy: Callable[..., program.Journal], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A deployment for each call but a creation's first: of several resources of one type, the last fails.

    Where the first call fails nothing of the resource is there, whatever its type: one type is enough, the last.
    """
    failing = FailingApi(api.url, monkeypatch)
    journal = deploy(SMALL)
    last = {
        (failing.types[name], number): (name, number)
        for name, n in failing.calls.items()
        for number in range(0 if failing.types[name] == LAST_TYPE else 1, n)
    }
    assert (LAST_TYPE, 0) in last
    assert {kind for kind, _ in last} >= {"aws:ec2/instance:Instance", "aws:ec2/internetGateway:InternetGateway"}
    assert len(failing.calls) == len(journal.entries()) == SMALL_RESOURCES
    program.destroy(journal, api.url, REGION, quiet)
    assert account_leftovers(api.clients) == []

    left: dict[CallPoint, list[str]] = {}
    for point in last.values():
        failing.calls.clear()
        failing.fails_at = point
        with pytest.raises(LabError, match=f"^{point[0]} .*injected"):
            deploy(SMALL)
        failing.fails_at = None
        try:
            program.destroy(journal, api.url, REGION, quiet)
            found = account_leftovers(api.clients)
        except ClientError as refused:
            found = [str(refused)]
        if found:
            left[point] = found
            journal.clear()
            api.reset()
    assert left == {}


def test_a_failed_run_is_followed_by_a_good_one_that_takes_nothing_over(
    api: Api, lab_folder: Path, deploy: Callable[..., program.Journal]
) -> None:
    taken = api.ec2.create_placement_group(GroupName="md-raid-placement-group", Strategy="cluster")
    with pytest.raises(LabError, match=r"^md-raid-placement-group .*Duplicate.*already exists"):
        deploy()
    program.destroy(program.Journal(lab_folder / "journal.ndjson"), api.url, REGION, quiet)
    assert account_leftovers(api.clients) == [f"placement group {taken['PlacementGroup']['GroupName']}"]
    api.ec2.delete_placement_group(GroupName="md-raid-placement-group")
    assert len(deploy().entries()) == RESOURCES


def test_destroy_goes_on_where_another_was_cut_short(
    api: Api, lab_folder: Path, deploy: Callable[..., program.Journal], monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = deploy()
    delete = resources.delete
    deleted: list[str] = []

    def delete_ten(*arguments: Any) -> None:
        if len(deleted) == 10:
            raise KeyboardInterrupt
        deleted.append(arguments[2])
        delete(*arguments)

    with monkeypatch.context() as cut:
        cut.setattr(resources, "delete", delete_ten)
        with pytest.raises(KeyboardInterrupt):
            program.destroy(journal, api.url, REGION, quiet)
    program.destroy(journal, api.url, REGION, quiet)
    assert account_leftovers(api.clients) == []
    assert journal.entries() == []


def test_the_stack_file_is_handed_over_with_this_regions_endpoints_and_key(lab_folder: Path) -> None:
    config = stack_config(STACK, "http://127.0.0.1:7")
    (endpoints,) = json.loads(config["aws:endpoints"])
    assert set(endpoints.values()) == {"http://127.0.0.1:7"}
    assert {"ec2", "ssm"} <= set(endpoints)
    assert config["tidemark:sshPublicKeyFile"] == str(lab_folder / "id_ed25519.pub")
    assert config["tidemark:storageServers"] == "3"
    assert config["aws:skipMetadataApiCheck"] == "true"


def test_a_journal_keeps_its_order_for_another_process(tmp_path: Path) -> None:
    path = tmp_path / "journal.ndjson"
    assert program.Journal(path).entries() == []
    for number in range(3):
        program.Journal(path).add("aws:ec2/vpc:Vpc", f"vpc-{number}", {"cidrBlock": "10.20.0.0/16"})
    entries = program.Journal(path).entries()
    assert [entry["id"] for entry in entries] == ["vpc-0", "vpc-1", "vpc-2"]
    assert entries[0] == {"type": "aws:ec2/vpc:Vpc", "id": "vpc-0", "outputs": {"cidrBlock": "10.20.0.0/16"}}
    program.Journal(path).clear()
    program.Journal(path).clear()
    assert program.Journal(path).entries() == []


def test_a_journal_takes_lines_from_several_threads_whole(tmp_path: Path) -> None:
    journal = program.Journal(tmp_path / "journal.ndjson")

    def add_some() -> None:
        for _ in range(20):
            journal.add("aws:ec2/vpc:Vpc", "v" * 5000, {})

    threads = [threading.Thread(target=add_some) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(journal.entries()) == 160


def test_a_journal_cut_short_in_its_last_line_still_names_the_rest(tmp_path: Path) -> None:
    """A process that is killed while it writes leaves half a line; destroy must take back what was written before."""
    path = tmp_path / "journal.ndjson"
    program.Journal(path).add("aws:ec2/vpc:Vpc", "vpc-0", {})
    with path.open("a") as file:
        file.write('{"type": "aws:ec2/sub')
    assert [entry["id"] for entry in program.Journal(path).entries()] == ["vpc-0"]


def test_a_run_that_is_told_to_stop_creates_nothing_more(api: Api, lab_folder: Path) -> None:
    journal = program.Journal(lab_folder / "journal.ndjson")
    stop = threading.Event()

    def say(line: str) -> None:
        if "Vpc " in line:
            stop.set()

    with pytest.raises(LabError, match="not created, since the rehearsal stops"):
        program.run_program(STACK, stack_config(STACK, api.url), api.url, REGION, journal, say, stop)
    assert 0 < len(journal.entries()) < RESOURCES
    program.destroy(journal, api.url, REGION, quiet)
    assert account_leftovers(api.clients) == []


@pytest.mark.parametrize(
    "settings",
    [
        {"tidemark:availability": "one-zone"},
        {"tidemark:throughputMode": "provisioned", "tidemark:provisionedMibPerS": "64", "tidemark:maxUsdPerHour": "9"},
        {"tidemark:clients": "3", "tidemark:clientZones": "3"},
    ],
    ids=["one-zone", "provisioned", "three-zones"],
)
def test_each_kind_of_file_system_comes_and_goes(api: Api, lab_folder: Path, settings: dict[str, str]) -> None:
    config = {**stack_config("efs-iops.lab", api.url), **settings}
    journal = program.Journal(lab_folder / "journal.ndjson")
    outputs = program.run_program("efs-iops.lab", config, api.url, REGION, journal, quiet)
    found = Inventory.from_json(str(outputs["inventory"]), "test")
    assert found.file_system is not None
    zones = {host.zone for host in found.hosts}
    assert {target.zone for target in found.file_system.mount_targets} == zones
    assert len(zones) == int(settings.get("tidemark:clientZones", "1"))
    program.destroy(journal, api.url, REGION, quiet)
    assert account_leftovers(api.clients) == []
