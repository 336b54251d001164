"""Holds the hosts' volumes, their links to them, and their networks to a block-storage model.

The limits of volumes and links are in a file that each host's process maps and obeys (lab/kernel/volume_limits.c, which
describes the same bytes). So they are outside of the hosts, hold from the first boot on, and outlast a restart, as does
what a volume has left of its burst credits.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import threading
import time
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from lab.account import Account, Instance, Volume
from lab.errors import LabError
from lab.service_model import BlockStorageModel, ServiceModel
from lab.vpc import Network, Port

# As in lab/kernel/volume_limits.c. A host has 14 volumes at most (lab/host.py).
ID_BYTES = 32
HOSTS_MAX = 256
VOLUMES_MAX = 14 * HOSTS_MAX


class _Host(ctypes.Structure):
    _fields_ = (("id", ctypes.c_char * ID_BYTES), ("bytes_per_s", ctypes.c_double), ("free_ns", ctypes.c_int64))


class _Volume(ctypes.Structure):
    _fields_ = (
        ("id", ctypes.c_char * ID_BYTES),
        ("bytes_per_s", ctypes.c_double),
        ("operations_per_s", ctypes.c_double),
        ("credits_most", ctypes.c_double),
        ("base_operations_per_s", ctypes.c_double),
        ("operation_bytes", ctypes.c_double),
        ("credits", ctypes.c_double),
        ("credits_ns", ctypes.c_int64),
        ("bytes_free_ns", ctypes.c_int64),
        ("operations_free_ns", ctypes.c_int64),
        ("operations", ctypes.c_double),
        ("bytes", ctypes.c_double),
    )


class _Limits(ctypes.Structure):
    _fields_ = (("any", ctypes.c_int64), ("hosts", _Host * HOSTS_MAX), ("volumes", _Volume * VOLUMES_MAX))


class BlockLimits:
    """The limits of one region's hosts and volumes. `file` has those that hosts obey by themselves."""

    def __init__(self, folder: Path, network: Network) -> None:
        self.file = folder / "block-limits"
        self._network = network
        self._guard = threading.Lock()  # the model comes by the control socket's thread
        self._model: BlockStorageModel | None = None
        self._account = Account((), {}, ())
        self._ports: dict[str, Port] = {}
        self._rates: dict[str, float] = {}  # instance -> bytes per second of its interface
        descriptor = os.open(self.file, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            os.ftruncate(descriptor, ctypes.sizeof(_Limits))
            self._limits = _Limits.from_buffer(mmap.mmap(descriptor, ctypes.sizeof(_Limits)))
        finally:
            os.close(descriptor)

    def apply_model(self, model: ServiceModel | None) -> None:
        """Applies a model from the next request and packet on; None, or one of another service, is no limit. Raises
        LabError, and changes nothing, for a model that limits more than there is room for.
        """
        with self._guard:
            model = model if isinstance(model, BlockStorageModel) else None
            hosts, volumes = self._limited(model)
            if len(hosts) > HOSTS_MAX or len(volumes) > VOLUMES_MAX:
                raise LabError(
                    f"a block-storage model limits {HOSTS_MAX} hosts at most, and {len(hosts)} are there with "
                    f"{len(volumes)} volumes; deploy fewer, or leave their types out of the model"
                )
            self._model = model
            self._apply()

    def apply_to(self, account: Account, ports: Mapping[str, Port]) -> frozenset[str]:
        """Applies the model to what there is now. A type that is not in the model has no limit; the burst credits of a
        new volume are full. Returns the instances for which, or for a volume of which, there is no room.
        """
        with self._guard:
            self._account, self._ports = account, dict(ports)
            return self._apply()

    def unplugged(self, instance_id: str) -> None:
        """Forgets the interface of a host: another one of that name has no limit."""
        with self._guard:
            self._ports.pop(instance_id, None)
            self._rates.pop(instance_id, None)

    def _limited(self, model: BlockStorageModel | None) -> tuple[dict[str, Instance], dict[str, Volume]]:
        """Returns the instances and volumes that a model limits."""
        if model is None:
            return {}, {}
        alive = [each for each in self._account.instances if each.state != "terminated"]
        return (
            {each.instance_id: each for each in alive if self._rates_of(each, model)[0]},
            {name: volume for name, volume in self._account.volumes.items() if model.volume(volume.volume_type)},
        )

    def _apply(self) -> frozenset[str]:
        hosts, volumes = self._limited(self._model)
        placed = _slots(self._limits.volumes, volumes)
        for name, entry in placed.items():
            self._limit_volume(entry, volumes[name])
        links = _slots(self._limits.hosts, hosts)
        for name, entry in links.items():
            entry.bytes_per_s, _ = self._rates_of(hosts[name], self._model)
        self._limits.any = int(self._model is not None)
        instances = {each.instance_id: each for each in self._account.instances if each.state != "terminated"}
        for instance_id, port in self._ports.items():
            _, rate = self._rates_of(instances.get(instance_id), self._model)
            if rate != self._rates.get(instance_id, 0):
                self._network.limit_rate(port, rate or None)
                self._rates[instance_id] = rate
        without = volumes.keys() - placed.keys()
        beyond = {name for name, instance in instances.items() if instance.volumes & without}
        return frozenset(beyond | (hosts.keys() - links.keys()))

    def _rates_of(self, instance: Instance | None, model: BlockStorageModel | None) -> tuple[float, float]:
        """Bytes per second of an instance's link to its volumes, and of its network; 0 is no limit."""
        limits = None if model is None or instance is None else model.instance(instance.instance_type)
        if limits is None or model is None:
            return 0, 0
        return (limits.ebs_bytes_per_s or 0) / model.scale, (limits.network_bytes_per_s or 0) / model.scale

    def _limit_volume(self, entry: Any, volume: Volume) -> None:
        assert self._model is not None
        limits = self._model.volume(volume.volume_type)
        assert limits is not None
        scale = self._model.scale
        most = limits.burst_credits / scale
        if most != entry.credits_most:
            entry.credits, entry.credits_ns = most, time.monotonic_ns()
        # Before `credits_most`: hosts divide by it as soon as there is that.
        entry.base_operations_per_s = limits.base_ops_per_s(volume.size_gib) / scale
        entry.credits_most, entry.operation_bytes = most, limits.op_bytes
        entry.operations_per_s = (limits.ops_per_s or 0) / scale
        entry.bytes_per_s = (limits.bytes_per_s or 0) / scale

    def counts(self) -> dict[str, dict[str, float]]:
        """Returns what each volume did under limits: operations, bytes, and the burst credits that it has left."""
        known = (volume for volume in self._limits.volumes if volume.id)
        return {
            volume.id.decode(): {"operations": volume.operations, "bytes": volume.bytes, "credits": volume.credits}
            for volume in known
        }


def _slots(entries: Any, wanted: Collection[str]) -> dict[str, Any]:
    """Returns the entry of each of `wanted`, as far as there are entries; clears those of what is gone, and gives them
    to what is new.
    """
    free = []
    found = {}
    for entry in entries:
        if entry.id.decode() in wanted:
            found[entry.id.decode()] = entry
        else:
            if entry.id:
                ctypes.memset(ctypes.byref(entry), 0, ctypes.sizeof(entry))
            free.append(entry)
    for name, entry in zip([each for each in wanted if each not in found], free, strict=False):
        entry.id = name.encode()
        found[name] = entry
    return found
