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
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lab.account import Account, Instance
from lab.errors import LabError
from lab.service_model import BlockStorageModel, ServiceModel
from lab.vpc import Network, Port

ID_BYTES = 32


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
    _fields_ = (("any", ctypes.c_int64), ("hosts", _Host * 64), ("volumes", _Volume * 256))


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
        """Applies a model from the next request and packet on; None, or one of another service, is no limit."""
        with self._guard:
            self._model = model if isinstance(model, BlockStorageModel) else None
            self._apply()

    def apply_to(self, account: Account, ports: Mapping[str, Port]) -> None:
        """Applies the model to what there is now. A type that is not in the model has no limit; the burst credits of a
        new volume are full. Raises LabError for more volumes or hosts than there is room for.
        """
        with self._guard:
            self._account, self._ports = account, dict(ports)
            self._apply()

    def unplugged(self, instance_id: str) -> None:
        """Forgets the interface of a host: another one of that name has no limit."""
        with self._guard:
            self._ports.pop(instance_id, None)
            self._rates.pop(instance_id, None)

    def _apply(self) -> None:
        self._limit_volumes(self._model)
        instances = {each.instance_id: each for each in self._account.instances if each.state != "terminated"}
        for entry, instance in _slots(self._limits.hosts, instances):
            entry.bytes_per_s, _ = self._rates_of(instance)
        self._limits.any = int(self._model is not None)
        for instance_id, port in self._ports.items():
            _, rate = self._rates_of(instances.get(instance_id))
            if rate != self._rates.get(instance_id, 0):
                self._network.limit_rate(port, rate or None)
                self._rates[instance_id] = rate

    def _rates_of(self, instance: Instance | None) -> tuple[float, float]:
        """Bytes per second of an instance's link to its volumes, and of its network; 0 is no limit."""
        limits = None if self._model is None or instance is None else self._model.instance(instance.instance_type)
        if limits is None or self._model is None:
            return 0, 0
        scale = self._model.scale
        return (limits.ebs_bytes_per_s or 0) / scale, (limits.network_bytes_per_s or 0) / scale

    def _limit_volumes(self, model: BlockStorageModel | None) -> None:
        for entry, volume in _slots(self._limits.volumes, self._account.volumes):
            limits = None if model is None else model.volume(volume.volume_type)
            if limits is None or model is None:
                entry.bytes_per_s = entry.operations_per_s = entry.credits_most = 0
                continue
            most = limits.burst_credits / model.scale
            if most != entry.credits_most:
                entry.credits, entry.credits_ns = most, time.monotonic_ns()
            # Before `credits_most`: hosts divide by it as soon as there is that.
            entry.base_operations_per_s = limits.base_ops_per_s(volume.size_gib) / model.scale
            entry.credits_most, entry.operation_bytes = most, limits.op_bytes
            entry.operations_per_s = (limits.ops_per_s or 0) / model.scale
            entry.bytes_per_s = (limits.bytes_per_s or 0) / model.scale

    def counts(self) -> dict[str, dict[str, float]]:
        """Returns what each volume did under limits: operations, bytes, and the burst credits that it has left."""
        known = (volume for volume in self._limits.volumes if volume.id)
        return {
            volume.id.decode(): {"operations": volume.operations, "bytes": volume.bytes, "credits": volume.credits}
            for volume in known
        }


def _slots(entries: Any, wanted: Mapping[str, Any]) -> list[tuple[Any, Any]]:
    """Pairs each of `wanted` with its entry; clears the entries of what is gone, and gives them to what is new."""
    free = []
    found = {}
    for entry in entries:
        if entry.id.decode() in wanted:
            found[entry.id.decode()] = entry
        else:
            if entry.id:
                ctypes.memset(ctypes.byref(entry), 0, ctypes.sizeof(entry))
            free.append(entry)
    for name in wanted.keys() - found.keys():
        if not free:
            raise LabError(f"{name}: a service model holds {len(entries)} of its kind at most")
        free[0].id = name.encode()
        found[name] = free.pop(0)
    return [(found[name], each) for name, each in wanted.items()]
