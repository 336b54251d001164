"""Block-storage limits: the file that the region writes, obeyed by a thread like that of a host's disks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest

from lab.account import Account, Volume
from lab.block_limits import HOSTS_MAX, VOLUMES_MAX, BlockLimits
from lab.errors import LabError
from lab.kernel.uml import PRELOADED
from lab.service_model import BlockStorageModel, InstanceLimits, VolumeLimits
from lab.vpc import Network, Port
from tests.lab.test_reconcile import CLIENT
from tests.machine import in_time, repeated_when_delayed

DISK_THREAD = (Path(__file__).parent / "disk_thread.py").read_text()
HOST = replace(CLIENT, instance_id="i-1", instance_type="large", volumes=frozenset({"vol-1", "vol-2", "vol-3"}))
PORT = Port("i-1", "10.20.1.10", "10.20.1.1", None, ())
MODEL = BlockStorageModel(
    "block-storage",
    "test",
    10,
    (InstanceLimits("large", network_bytes_per_s=500_000_000, ebs_bytes_per_s=150_000_000),),
    (VolumeLimits("gp2", bytes_per_s=100_000_000, ops_per_s=2000),),
)
RATIO = 0.05
MANY = 64  # requests in flight, so that a volume has work even while a busy machine lets nobody run


class Rates(Network):
    """Records the rates of interfaces."""

    def __init__(self) -> None:
        self.of: dict[str, float | None] = {}

    def limit_rate(self, port: Port, bytes_per_s: float | None) -> None:
        self.of[port.owner_id] = bytes_per_s


class Host:
    """A host with three volumes under limits."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rates = Rates()
        self.limits = BlockLimits(folder, self.rates)
        self.account = Account((HOST,), {name: Volume(1, "gp2") for name in sorted(HOST.volumes)}, ())
        self.limits.apply_to(self.account, {"i-1": PORT})
        for name in ("vol-1", "vol-2", "vol-3", "root.cow"):
            (folder / name).write_bytes(bytes(1 << 20))

    def apply(self, **changes: Any) -> None:
        self.limits.apply_model(replace(MODEL, **changes))

    def read(self, *streams: tuple[str, int, int], seconds: float = 0.8) -> list[float]:
        """The requests per second of each stream: a file, bytes, and requests in flight."""
        words = [f"{self.folder / name},{size},{in_flight}" for name, size, in_flight in streams]
        environment = {"TIDEMARK_BLOCK_LIMITS": str(self.limits.file), "TIDEMARK_HOST_ID": "i-1"}
        environment["LD_PRELOAD"] = ":".join(map(str, PRELOADED))
        done = subprocess.run(
            [sys.executable, "-", str(seconds), *words],
            input=DISK_THREAD,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        )
        found: list[float] = json.loads(done.stdout)
        return found


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def nearly(found: list[float], expected: list[float], ratio: float = RATIO) -> None:
    """A volume catches up on a pause of up to 50 ms; where a busy machine makes longer ones, it is slower."""
    in_time(found == pytest.approx(expected, rel=ratio), found)


@repeated_when_delayed
def test_a_volume_has_its_bytes_per_second(host: Host) -> None:
    host.apply()
    nearly(host.read(("vol-1", 100_000, MANY), seconds=1.5), [100])


@repeated_when_delayed
def test_so_it_has_with_one_request_in_flight(host: Host) -> None:
    host.apply()
    nearly(host.read(("vol-1", 100_000, 1)), [100])


@repeated_when_delayed
def test_a_volume_has_its_operations_per_second_and_a_large_request_is_several(host: Host) -> None:
    host.apply()
    nearly(host.read(("vol-1", 4096, MANY), seconds=1.5), [200])
    host.apply(volumes=(replace(MODEL.volumes[0], op_bytes=16_384),))
    nearly(host.read(("vol-1", 40_960, MANY), seconds=1.5), [200 / 3])


@repeated_when_delayed
def test_a_busy_volume_keeps_no_other_waiting(host: Host) -> None:
    host.apply()
    busy, small = host.read(("vol-1", 1 << 20, 8), ("vol-2", 4096, MANY), seconds=2)
    in_time(busy <= 10.5, busy)
    nearly([small], [200])


@repeated_when_delayed
def test_volumes_share_their_hosts_link(host: Host) -> None:
    host.apply()
    found = host.read(("vol-1", 50_000, MANY), ("vol-2", 50_000, MANY), ("vol-3", 50_000, MANY), seconds=1.5)
    nearly([sum(found)], [300])  # 15 MB/s, and their own limits are 10 each
    in_time(max(found) - min(found) < 10, found)


@repeated_when_delayed
def test_credits_end_and_grow_again(tmp_path: Path) -> None:
    host = Host(Path(mkdtemp(dir=tmp_path)))
    # 80 operations at scale; 10 a second without credits.
    host.apply(volumes=(replace(MODEL.volumes[0], burst_credits=800, base_ops_per_s_per_gib=100.0),))
    assert host.limits.counts()["vol-1"]["credits"] == 80
    nearly(host.read(("vol-1", 4096, 8), seconds=0.3), [200], 0.3)
    in_time(host.limits.counts()["vol-1"]["credits"] < 50)
    host.read(("vol-1", 4096, 8), seconds=1)
    in_time(host.read(("vol-1", 4096, 8), seconds=2) == [pytest.approx(10, abs=3)])
    host.apply(volumes=(replace(MODEL.volumes[0], burst_credits=800, base_ops_per_s_per_gib=100.0),))
    assert host.limits.counts()["vol-1"]["credits"] < 50, "the same model again fills nothing"


@repeated_when_delayed
def test_the_root_disk_another_type_and_no_model_have_no_limit(host: Host) -> None:
    host.apply()
    host.account.volumes["vol-3"] = Volume(1, "io1")
    host.limits.apply_to(host.account, {"i-1": PORT})
    in_time(all(rate > 1000 for rate in host.read(("root.cow", 4096, 2), ("vol-3", 4096, 2))))
    host.limits.apply_model(None)
    in_time(host.read(("vol-1", 4096, 2))[0] > 1000)
    assert host.limits.counts() == {}


@repeated_when_delayed
def test_what_was_done_is_counted(tmp_path: Path) -> None:
    host = Host(Path(mkdtemp(dir=tmp_path)))
    host.apply()
    (found,) = host.read(("vol-1", 8192, 1), seconds=0.4)
    counted = host.limits.counts()["vol-1"]
    assert counted["bytes"] == counted["operations"] * 8192
    in_time(counted["operations"] == pytest.approx(found * 0.4, rel=0.3))


def test_an_interface_has_its_rate_once(host: Host) -> None:
    assert host.rates.of == {}
    host.apply()
    assert host.rates.of == {"i-1": 50_000_000}
    host.rates.of.clear()
    host.limits.apply_to(host.account, {"i-1": PORT})
    assert host.rates.of == {}, "it has it already"
    host.limits.unplugged("i-1")
    host.limits.apply_to(host.account, {"i-1": PORT})
    assert host.rates.of == {"i-1": 50_000_000}, "another interface of that name"
    host.limits.apply_model(None)
    assert host.rates.of == {"i-1": None}


def many(hosts: int, instance_type: str = "large") -> Account:
    """As many hosts, with the most volumes that one can have."""
    volumes = [[f"vol-{host}-{number}" for number in range(14)] for host in range(hosts)]
    instances = tuple(
        replace(HOST, instance_id=f"i-{host}", instance_type=instance_type, volumes=frozenset(names))
        for host, names in enumerate(volumes)
    )
    return Account(instances, {name: Volume(1, "gp2") for names in volumes for name in names}, ())


def test_as_many_hosts_as_there_is_room_for_are_limited_and_one_more_is_named(host: Host) -> None:
    host.apply()
    assert host.limits.apply_to(many(HOSTS_MAX), {}) == frozenset()
    assert len(host.limits.counts()) == VOLUMES_MAX
    assert host.limits.apply_to(many(HOSTS_MAX + 1), {}) == {f"i-{HOSTS_MAX}"}
    assert len(host.limits.counts()) == VOLUMES_MAX, "the others keep theirs"


def test_without_limits_there_is_room_for_any_number_of_hosts(host: Host) -> None:
    assert host.limits.apply_to(many(HOSTS_MAX + 1), {}) == frozenset()
    host.limits.apply_model(replace(MODEL, instances=(), volumes=()))
    assert host.limits.apply_to(many(HOSTS_MAX + 1), {}) == frozenset()


def test_a_model_for_more_hosts_than_there_is_room_for_is_refused_and_changes_nothing(host: Host) -> None:
    host.limits.apply_to(many(HOSTS_MAX + 1), {})
    with pytest.raises(LabError, match=f"limits {HOSTS_MAX} hosts at most, and {HOSTS_MAX + 1} are there") as refused:
        host.apply()
    assert "\n" not in str(refused.value)
    assert host.limits.counts() == {}
    assert host.limits.apply_to(many(1), {}) == frozenset()
    assert host.limits.counts() == {}, "no model"


def test_volumes_that_are_gone_leave_their_places(host: Host) -> None:
    host.apply()
    for generation in range(3):
        names = [f"vol-{generation}-{number}" for number in range(VOLUMES_MAX)]
        assert host.limits.apply_to(replace(host.account, volumes=dict.fromkeys(names, Volume(1, "gp2"))), {}) == set()
        assert sorted(host.limits.counts()) == sorted(names)
