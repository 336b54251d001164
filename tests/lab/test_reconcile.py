"""The reconciler with a fake account, network, hosts and file servers: no kernel, no root, no waiting."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lab.account import Account, FileSystem, Group, Instance, MountTarget, Rule, Volume
from lab.block_limits import BlockLimits
from lab.endpoint import RegionApi
from lab.errors import LabError
from lab.file_server import FileServer
from lab.host import Host, HostSpec
from lab.kernel.uml import BootFiles, ExitReason, OnExit
from lab.reconcile import GIB, MEMORY_TAG, UPLINK_TAG, Reconciler, least_used
from lab.service_model import BlockStorageModel, FileSystemModel, InstanceLimits
from lab.vpc import Network, Port

BOUND_SECONDS = 10
MODEL = FileSystemModel("file-system", "slow", 0.01, 1)
OTHER_MODEL = replace(MODEL, name="other")
CLIENT = Instance(
    instance_id="i-1",
    instance_type="c4.8xlarge",
    state="running",
    name="client",
    address="10.20.1.10",
    subnet_cidr="10.20.1.0/24",
    public_address="54.1.2.3",
    groups=("sg-1",),
    key_name="mine",
    tags=((MEMORY_TAG, "256"),),
    volumes=frozenset({"vol-1"}),
)
SERVER = replace(CLIENT, instance_id="i-2", name="server", address="10.20.1.20", volumes=frozenset(), tags=())
GROUP = Group("sg-1", (Rule("-1", None, None, ("10.20.0.0/16",), ()),), ())
FILE_SYSTEM = FileSystem("fs-1", "bursting", None, (MountTarget("fsmt-1", "10.20.1.30", "10.20.1.0/24", ("sg-1",)),))


class FakeApi(RegionApi):
    """An account that a test sets, and what was reported to it."""

    def __init__(self) -> None:
        self.account = Account((), {}, (GROUP,))
        self.forced: set[str] = set()
        self.exits: list[tuple[str, ExitReason]] = []
        self.failures: list[str] = []

    def read_account(self) -> Account:
        return self.account

    def launch_data(self, instance: Instance) -> tuple[str, bytes]:
        return f"key of {instance.name}", b"#!/bin/sh\n"

    def take_forced_stop(self, instance_id: str) -> bool:
        return instance_id in self.forced

    def publish_minute(self, file_system_id: str, minute_unix_s: int, statistics: Mapping[str, Any]) -> None:
        raise NotImplementedError

    def report_host_exit(self, instance_id: str, reason: ExitReason) -> None:
        self.exits.append((instance_id, reason))
        self.set(replace(self.instance(instance_id), state="terminated"))

    def report_file_system_failure(self, file_system_id: str) -> None:
        self.failures.append(file_system_id)

    def instance(self, instance_id: str) -> Instance:
        return next(each for each in self.account.instances if each.instance_id == instance_id)

    def set(self, *instances: Instance, **changes: Any) -> None:
        """Adds or replaces instances, and other parts of the account."""
        known = {each.instance_id: each for each in (*self.account.instances, *instances)}
        self.account = replace(self.account, instances=tuple(known.values()), **changes)


class Events(list[str]):
    """What happened, in order. A test puts words of an event into `fail` to make it fail once."""

    def __init__(self) -> None:
        super().__init__()
        self.fail: set[str] = set()

    def add(self, event: str) -> None:
        if event in self.fail:
            self.fail.discard(event)
            raise LabError(f"{event}: failed")
        self.append(event)

    def take(self) -> list[str]:
        """Returns the events since the last call."""
        taken = list(self)
        self.clear()
        return taken


class FakeHost(Host):
    """Runs from `start` on without a process; `exit` ends it as if by itself."""

    def __init__(self, spec: HostSpec, folder: Path, on_exit: OnExit, events: Events) -> None:
        super().__init__(spec, folder, on_exit, files=BootFiles(Path("/kernel"), Path("/image")))
        self.ready = True
        self.state = "off"
        self.events = events

    def exit(self, code: int) -> None:
        self.state = "exited"
        self.code: int | None = code

    @property
    def running(self) -> bool:
        return self.state == "running"

    @property
    def exited(self) -> bool:
        return self.state == "exited"

    @property
    def ready_for_volumes(self) -> bool:
        return self.ready

    def start(self, volumes: Mapping[str, Path]) -> None:
        self.events.add(f"start {self.spec.hostname}")
        assert all(path.exists() for path in volumes.values())
        self.state, self.code = "running", None
        self._units = {volume_id: number for number, volume_id in enumerate(sorted(volumes), 2)}

    def attach(self, volume_id: str, disk: Path) -> None:
        self.events.add(f"attach {volume_id}")
        assert disk.exists()
        self._units[volume_id] = len(self._units) + 2

    def detach(self, volume_id: str) -> None:
        self.events.add(f"detach {volume_id}")
        del self._units[volume_id]

    def stop(self) -> None:
        self.events.add(f"stop {self.spec.hostname}")
        self.state, self._units = "off", {}

    def kill(self) -> None:
        if self.state != "off":
            self.events.add(f"kill {self.spec.hostname}")
        self.state, self._units = "off", {}

    def report_exit(self) -> None:
        if self.code is not None:
            self._on_exit(self.code)
        self.state, self._units = "off", {}

    def remove(self) -> None:
        self.events.add(f"remove {self.spec.hostname}")
        self.state, self._units = "off", {}


class FakeFileServer(FileServer):
    """A file server without processes."""

    events: Events

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments, files=BootFiles(Path("/kernel"), Path("/image")))
        self.up = False

    @property
    def running(self) -> bool:
        return self.up

    @property
    def model(self) -> FileSystemModel | None:
        return self._metrics.model

    def start(self) -> None:
        self.events.add(f"start {self.file_system_id}")
        self.up = True

    def plug(self, port: Port) -> None:
        if port.owner_id not in self._ports:
            self.events.add(f"plug {port.owner_id}")
        self._ports[port.owner_id] = port

    def unplug(self, mount_target_id: str) -> None:
        self.events.add(f"unplug {mount_target_id}")
        del self._ports[mount_target_id]

    def remove(self) -> None:
        self.events.add(f"remove {self.file_system_id}")
        self.up = False


class FakeNetwork(Network):
    def __init__(self, events: Events) -> None:
        self.events = events
        self.rules = ""

    def plug(self, port: Port) -> None:
        self.events.add(f"plug {port.owner_id}")

    def unplug(self, port: Port) -> None:
        self.events.add(f"unplug {port.owner_id}")

    def apply_rules(self, rules: str) -> None:
        self.events.add("rules")
        self.rules = rules

    def limit_rate(self, port: Port, bytes_per_s: float | None) -> None:
        self.events.add(f"rate {port.owner_id} {bytes_per_s}")

    def limit_uplink(self, mbit_per_s: float | None) -> None:
        self.events.add(f"uplink {mbit_per_s}")


class Machine:
    """A reconciler and all that it acts on."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.api = FakeApi()
        self.events = Events()
        self.network = FakeNetwork(self.events)
        self.hosts: dict[str, FakeHost] = {}
        self.file_servers: dict[str, FakeFileServer] = {}
        self.said: list[str] = []
        self.reconciler = Reconciler(
            self.api, self.network, self._make_host, self._make_file_server, folder, self.said.append, cpus={0, 1}
        )

    def _make_host(self, spec: HostSpec, folder: Path, on_exit: OnExit) -> Host:
        host = self.hosts[spec.hostname] = FakeHost(spec, folder, on_exit, self.events)
        return host

    def _make_file_server(self, *arguments: Any) -> FileServer:
        server = FakeFileServer(*arguments)
        server.events = self.events
        self.file_servers[server.file_system_id] = server
        return server

    def reconcile(self) -> tuple[bool, list[str]]:
        """Does a pass; whether the machine matches then, and what happened."""
        matches = self.reconciler.reconcile()
        return matches, self.events.take()

    def disks(self) -> dict[str, int]:
        return {path.name: path.stat().st_size for path in (self.folder / "volumes").glob("*")}


NOTHING: tuple[bool, list[str]] = (True, [])


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.fixture
def running(machine: Machine) -> Machine:
    """A machine with one host that runs, and its volume."""
    machine.api.set(CLIENT, volumes={"vol-1": Volume(5, "gp2")})
    machine.reconcile()
    return machine


# --- hosts -----------------------------------------------------------------------------------------------


def test_a_new_instance_boots_behind_its_interface_and_rules_with_its_volumes(machine: Machine) -> None:
    machine.api.set(CLIENT, volumes={"vol-1": Volume(5, "gp2")})
    assert machine.reconcile() == (True, ["plug i-1", "rules", "start client"])
    spec = machine.hosts["client"].spec
    assert (spec.address, spec.gateway, spec.hardware.memory_mib) == ("10.20.1.10/24", "10.20.1.1", 256)
    assert (spec.authorized_key, spec.user_data) == ("key of client", b"#!/bin/sh\n")
    assert machine.hosts["client"].attached == {"vol-1"}
    assert machine.disks() == {"vol-1": 5 * GIB}
    assert "54.1.2.3" in machine.network.rules
    assert machine.reconcile() == NOTHING


def test_a_pending_instance_boots_too(machine: Machine) -> None:
    machine.api.set(replace(SERVER, state="pending"))
    assert machine.reconcile() == (True, ["plug i-2", "rules", "start server"])
    machine.api.set(SERVER)
    assert machine.reconcile() == NOTHING


def test_a_stopped_instance_shuts_down_and_boots_again_with_what_it_had(running: Machine) -> None:
    for state in ("stopping", "stopped"):
        running.api.set(replace(CLIENT, state=state))
        running.reconcile()
    assert running.said[-1] == "client: stopped"
    assert running.disks() == {"vol-1": 5 * GIB}
    running.api.set(CLIENT)
    assert running.reconcile() == (True, ["start client"])


def test_a_forced_stop_cuts_the_power(running: Machine) -> None:
    running.api.forced.add("i-1")
    running.api.set(replace(CLIENT, state="stopping"))
    assert running.reconcile() == (True, ["kill client"])


@pytest.mark.parametrize("forgotten", [False, True], ids=["terminated", "not described any more"])
def test_a_terminated_instance_goes_with_its_interface_and_its_cpu(running: Machine, forgotten: bool) -> None:
    running.api.account = replace(
        running.api.account, instances=() if forgotten else (replace(CLIENT, state="terminated"),)
    )
    assert running.reconcile() == (True, ["remove client", "unplug i-1", "rules"])
    assert running.reconciler.states() == []
    assert running.reconcile() == NOTHING


def test_an_instance_that_was_never_seen_running_needs_nothing(machine: Machine) -> None:
    machine.api.set(replace(CLIENT, state="terminated"), replace(SERVER, state="stopped"))
    assert machine.reconcile() == (True, ["rules"])


def test_a_host_that_exits_by_itself_is_reported_with_its_reason_and_goes(running: Machine) -> None:
    host = running.hosts["client"]
    host.console.write_text("tidemark: power on\nKernel panic - not syncing: no init\n")
    host.exit(134)
    matches, events = running.reconcile()
    assert (matches, events) == (False, []), "the next pass sees what the exit led to"
    ((instance_id, reason),) = running.api.exits
    assert instance_id == "i-1"
    assert reason.text == "the host's kernel ended: Kernel panic - not syncing: no init"
    assert running.reconcile() == (True, ["remove client", "unplug i-1", "rules"])


def test_an_exit_is_reported_beside_a_pass(running: Machine) -> None:
    running.hosts["client"]._on_exit(0)  # from the thread that waits for the process
    ((_, reason),) = running.api.exits
    assert reason.code == "Client.InstanceInitiatedShutdown"


def test_hosts_are_spread_over_the_cpus(machine: Machine) -> None:
    more = [replace(SERVER, instance_id=f"i-{n}", name=f"server-{n}", address=f"10.20.1.{n}") for n in range(3, 7)]
    machine.api.set(*more)
    machine.reconcile()
    assert sorted(host.spec.hardware.cpu for host in machine.hosts.values()) == [0, 0, 1, 1]


def test_a_cpu_that_a_host_left_is_taken_first() -> None:
    assert least_used({2, 3, 7}, [2, 2, 7]) == 3
    assert least_used({2, 3, 7}, [2, 3, 3, 7, 7]) == 2


# --- volumes and network ---------------------------------------------------------------------------------


def test_a_volume_is_attached_and_detached_while_the_host_runs(running: Machine) -> None:
    running.api.set(
        replace(CLIENT, volumes=frozenset({"vol-1", "vol-2"})),
        volumes={"vol-1": Volume(5, "gp2"), "vol-2": Volume(7, "gp2")},
    )
    assert running.reconcile() == (True, ["attach vol-2"])
    running.api.set(replace(CLIENT, volumes=frozenset({"vol-2"})))
    assert running.reconcile() == (True, ["detach vol-1"])
    assert running.disks() == {"vol-1": 5 * GIB, "vol-2": 7 * GIB}


def test_a_host_that_still_boots_gets_its_volume_in_a_later_pass(running: Machine) -> None:
    host = running.hosts["client"]
    host.ready = False
    running.api.set(
        replace(CLIENT, volumes=frozenset({"vol-1", "vol-2"})),
        volumes={"vol-1": Volume(5, "gp2"), "vol-2": Volume(7, "gp2")},
    )
    assert running.reconcile() == (False, [])
    host.ready = True
    assert running.reconcile() == (True, ["attach vol-2"])


def test_a_disk_is_deleted_when_its_volume_is_gone_and_no_host_uses_it(running: Machine) -> None:
    running.events.fail.add("detach vol-1")  # the host still uses it
    running.api.set(replace(CLIENT, volumes=frozenset()), volumes={})
    assert running.reconcile() == (False, [])
    assert running.disks() == {"vol-1": 5 * GIB}
    assert running.reconcile() == (True, ["detach vol-1"])
    assert running.disks() == {}


def test_a_volume_that_grows_keeps_its_file(running: Machine) -> None:
    with running.reconciler.disk("vol-1").open("r+b") as disk:
        disk.write(b"data")
    running.api.set(volumes={"vol-1": Volume(6, "gp2")})
    running.reconcile()
    assert running.disks() == {"vol-1": 6 * GIB}
    with running.reconciler.disk("vol-1").open("rb") as disk:
        assert disk.read(4) == b"data"


def test_a_moved_address_changes_the_rules_alone(running: Machine) -> None:
    running.api.set(replace(CLIENT, public_address="54.9.9.9"))
    assert running.reconcile() == (True, ["rules"])
    assert "54.9.9.9" in running.network.rules
    assert "54.1.2.3" not in running.network.rules


def test_the_least_uplink_rate_counts_and_ends_with_its_hosts(machine: Machine) -> None:
    slow, fast = (replace(each, tags=((UPLINK_TAG, rate),)) for each, rate in ((CLIENT, "8"), (SERVER, "20")))
    machine.api.set(slow, fast, volumes={"vol-1": Volume(5, "gp2")})
    assert "uplink 8.0" in machine.reconcile()[1]
    machine.api.set(replace(slow, state="terminated"))
    assert "uplink 20.0" in machine.reconcile()[1]
    machine.api.set(replace(fast, state="terminated"))
    assert "uplink None" in machine.reconcile()[1]


def test_a_host_beyond_those_that_a_model_limits_ends_with_the_reason_and_the_others_boot(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(BlockLimits, "apply_to", lambda self, account, ports: frozenset({"i-2"}))
    machine.api.set(CLIENT, SERVER, volumes={"vol-1": Volume(5, "gp2")})
    assert [event for event in machine.reconcile()[1] if "start" in event] == ["start client"]
    assert [(name, reason.message) for name, reason in machine.api.exits] == [
        ("i-2", "Server.InsufficientInstanceCapacity: the region's service model limits 256 hosts at most")
    ]


# --- file servers ----------------------------------------------------------------------------------------


def test_a_file_system_has_a_server_with_its_mount_targets_until_it_is_deleted(machine: Machine) -> None:
    machine.reconciler.apply_service_model(MODEL)
    machine.api.set(file_systems=(FILE_SYSTEM,))
    assert machine.reconcile() == (True, ["start fs-1", "plug fsmt-1", "rules"])
    assert "10.20.1.30" in machine.network.rules
    assert machine.file_servers["fs-1"].model == MODEL
    machine.reconciler.apply_service_model(OTHER_MODEL)
    assert machine.file_servers["fs-1"].model == OTHER_MODEL
    machine.api.set(file_systems=(replace(FILE_SYSTEM, mount_targets=()),))
    assert machine.reconcile() == (True, ["unplug fsmt-1", "rules"])
    machine.api.set(file_systems=())
    assert machine.reconcile() == (True, ["remove fs-1"])


def test_a_service_model_that_is_applied_while_a_server_starts_is_not_lost(machine: Machine) -> None:
    machine.api.set(file_systems=(FILE_SYSTEM,))
    make = machine._make_file_server

    def make_meanwhile(*arguments: Any) -> FileServer:
        server = make(*arguments)
        machine.reconciler.apply_service_model(MODEL)  # the control socket's thread
        return server

    machine.reconciler._make_file_server = make_meanwhile
    machine.reconcile()
    assert machine.file_servers["fs-1"].model == MODEL


def test_a_service_model_that_is_applied_while_an_interface_goes_does_not_touch_it(running: Machine) -> None:
    limits = InstanceLimits(CLIENT.instance_type, network_bytes_per_s=1_000_000)
    running.reconciler.apply_service_model(BlockStorageModel("block-storage", "slow", 1, (limits,)))
    assert running.events.take() == ["rate i-1 1000000.0"]
    unplug = running.network.unplug

    def unplug_meanwhile(port: Port) -> None:
        unplug(port)
        running.reconciler.apply_service_model(None)  # the control socket's thread

    running.network.unplug = unplug_meanwhile  # type: ignore[method-assign]  # as another thread would come between
    running.api.account = replace(running.api.account, instances=())
    assert running.reconcile() == (True, ["remove client", "unplug i-1", "rules"])


def test_a_file_server_that_died_is_reported_and_starts_again(machine: Machine) -> None:
    machine.api.set(file_systems=(FILE_SYSTEM,))
    machine.reconcile()
    server = machine.file_servers["fs-1"]
    server.up = False
    server._on_exit(-9)
    assert machine.api.failures == ["fs-1"]
    assert machine.reconcile() == (True, ["remove fs-1", "start fs-1", "plug fsmt-1"])
    assert machine.file_servers["fs-1"] is not server


# --- failures, and several at once -----------------------------------------------------------------------


def converge(machine: Machine) -> list[str]:
    """Repeats passes, as the loop does, until one leaves nothing undone."""
    events: list[str] = []
    for _ in range(4):
        try:
            matches = machine.reconciler.reconcile()
        except LabError:
            matches = False
        events += machine.events.take()
        if matches:
            return events
    raise AssertionError(f"no pass was complete: {events}")


STEPS = ["plug i-1", "plug i-2", "rules", "uplink 8.0", "start fs-1", "plug fsmt-1", "start client", "start server"]


@pytest.mark.parametrize("step", STEPS)
def test_a_pass_that_fails_at_any_step_is_repeated_and_converges(machine: Machine, step: str) -> None:
    client = replace(CLIENT, tags=((UPLINK_TAG, "8"),))
    machine.api.set(client, SERVER, volumes={"vol-1": Volume(5, "gp2")}, file_systems=(FILE_SYSTEM,))
    machine.events.fail.add(step)
    assert set(converge(machine)) >= set(STEPS)
    assert machine.events.fail == set()
    assert {name: host.running for name, host in machine.hosts.items()} == {"client": True, "server": True}
    assert machine.reconcile() == NOTHING


@pytest.mark.parametrize("step", ["remove client", "unplug i-2", "remove fs-1", "rules"])
def test_a_deletion_that_fails_at_any_step_is_repeated_and_leaves_nothing(machine: Machine, step: str) -> None:
    machine.api.set(CLIENT, SERVER, volumes={"vol-1": Volume(5, "gp2")}, file_systems=(FILE_SYSTEM,))
    machine.reconcile()
    machine.events.fail.add(step)
    machine.api.account = replace(machine.api.account, instances=(), volumes={}, file_systems=())
    events = converge(machine)
    assert set(events) >= {"remove client", "remove server", "remove fs-1", "unplug i-1", "unplug i-2"}
    assert machine.events.fail == set()
    assert machine.reconciler.states() == []
    assert machine.disks() == {}
    assert "eni-" not in machine.network.rules
    assert machine.reconcile() == NOTHING


def test_one_host_that_fails_does_not_keep_the_others(machine: Machine) -> None:
    machine.api.set(CLIENT, SERVER, volumes={"vol-1": Volume(5, "gp2")})
    machine.events.fail.add("start client")
    matches, events = machine.reconcile()
    assert not matches
    assert events[-1] == "start server"
    assert machine.reconcile() == (True, ["start client"])


def test_two_passes_at_once_boot_a_host_once(machine: Machine) -> None:
    machine.api.set(CLIENT, volumes={"vol-1": Volume(5, "gp2")})
    inside = threading.Event()
    read = machine.api.read_account

    def read_slowly() -> Account:
        assert not inside.is_set(), "two passes at once"
        inside.set()
        account = read()
        inside.clear()
        return account

    machine.api.read_account = read_slowly  # type: ignore[method-assign]
    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(lambda _: machine.reconciler.reconcile(), range(2))) == [True, True]
    assert machine.events.take() == ["plug i-1", "rules", "start client"]


def test_an_instance_that_is_terminated_during_a_pass_goes_in_the_next(machine: Machine) -> None:
    machine.api.set(CLIENT, volumes={"vol-1": Volume(5, "gp2")})
    plug = machine.network.plug

    def plug_meanwhile(port: Port) -> None:
        machine.api.set(replace(CLIENT, state="terminated"))
        plug(port)

    machine.network.plug = plug_meanwhile  # type: ignore[method-assign]
    assert machine.reconcile() == (True, ["plug i-1", "rules", "start client"])
    assert machine.reconcile() == (True, ["remove client", "unplug i-1", "rules"])


def test_hosts_are_listed_while_a_pass_is_busy(running: Machine) -> None:
    """`lab status` asks in another thread."""
    listed: list[int] = []
    running.api.set(SERVER)
    apply = running.network.apply_rules

    def list_and_apply(rules: str) -> None:
        listed.append(len(running.reconciler.states()))
        apply(rules)

    running.network.apply_rules = list_and_apply  # type: ignore[method-assign]
    running.reconcile()
    assert listed == [1]
    assert [state["name"] for state in running.reconciler.states()] == ["client", "server"]


def test_the_end_takes_hosts_before_the_file_servers_that_they_use(machine: Machine) -> None:
    machine.api.set(CLIENT, SERVER, volumes={"vol-1": Volume(5, "gp2")}, file_systems=(FILE_SYSTEM,))
    machine.reconcile()
    machine.reconciler.close()
    *hosts, last = machine.events.take()
    assert (sorted(hosts), last) == (["remove client", "remove server"], "remove fs-1")
