"""What a task of md-raid works with."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TypeVar

from workloads.connectors.pool import ConnectionPool
from workloads.connectors.script import Script, ScriptResult
from workloads.console import Console
from workloads.deployment import Deployment
from workloads.errors import WorkloadError
from workloads.md_raid import parsers
from workloads.md_raid.settings import SCRIPTS
from workloads.md_raid.topology import Leg, Mirror, Topology
from workloads.sampling import Sampling, host_sampler
from workloads.scripts import find_script

T = TypeVar("T")


def script(name: str) -> Script:
    """The script called `name`, with the functions that all share."""
    return find_script(name, SCRIPTS, "iscsi")


def sampling(context: Context) -> Sampling:
    """CPU, network and memory of all hosts, for as long as the block lasts."""
    return Sampling(context.hosts, context.results, [host_sampler(script("host_sample"), context.hosts)])


@dataclass(kw_only=True)
class Context(Deployment):
    """The deployment with its topology; `absent` holds the mirrors that are still to be created."""

    topology: Topology
    absent: list[Mirror] = field(default_factory=list)
    _state: parsers.ClientState | None = None

    @classmethod
    def of(cls, hosts: ConnectionPool, console: Console) -> Context:
        """A context for the hosts' inventory."""
        return cls(hosts=hosts, console=console, topology=Topology.of(hosts.inventory))

    @property
    def server_names(self) -> list[str]:
        """The storage servers' names."""
        return [server.name for server in self.topology.servers]

    def on_client(self, name: str, arguments: Iterable[str] = (), idle_timeout_seconds: float = 300) -> ScriptResult:
        """Runs a script on the client."""
        connector = self.hosts.connector(self.topology.client.name)
        result = connector.run(script(name), arguments, idle_timeout_seconds=idle_timeout_seconds)
        if result.changed:
            self._state = None
        return result

    def client_state(self, *, fresh: bool = False) -> parsers.ClientState:
        """What the client has: as last seen, unless a script changed something since or `fresh` is asked
        for.
        """
        if self._state is None or fresh:
            self._state = self._understood(parsers.client_state, self.on_client("client_state").stdout)
        return self._state

    def array_status(self) -> dict[str, parsers.ArrayStatus]:
        """The client's arrays by name, as the kernel shows them now."""
        return self._understood(parsers.mdstat, self.on_client("client_mdstat").stdout)

    def _understood(self, read: Callable[[str], T], text: str) -> T:
        try:
            return read(text)
        except parsers.ParseError as error:
            raise WorkloadError(
                str(error), "see /proc/mdstat and mdadm --detail there", self.topology.client.name
            ) from None

    def leg_by_device(self, state: parsers.ClientState) -> dict[str, Leg]:
        """Which leg each of the client's disks is: by the target that its session leads to, never by its
        name.
        """
        legs = {leg.iqn: leg for leg in self.topology.legs}
        return {disk.device: legs[target] for target, disk in state.disks.items() if target in legs}

    def record_arrays(self, when: str, state: parsers.ClientState | None = None) -> None:
        """Adds the arrays as they are now to the results."""
        state = state or self.client_state(fresh=True)
        by_device = self.leg_by_device(state)
        for name in sorted(state.arrays, key=_number):
            detail = state.arrays[name]
            legs = []
            for leg in detail.legs:
                known = by_device.get(leg.device or "")
                record = {"slot": leg.slot, "state": leg.state}
                if known is not None:
                    record |= {"server": known.server, "volume": known.volume}
                elif leg.device is not None:
                    record |= {"device": leg.device}
                legs.append(record)
            self.results.append(
                "arrays",
                {
                    "t_unix_s": time.time(),
                    "when": when,
                    "array": name,
                    "level": detail.level,
                    "layout": detail.layout,
                    "raid_devices": detail.raid_devices,
                    "working": detail.working,
                    "state": detail.state,
                    "size_bytes": detail.size_bytes,
                    "legs": legs,
                },
            )


def _number(array: str) -> int:
    digits = array.removeprefix("md")
    return int(digits) if digits.isdigit() else 1 << 30
