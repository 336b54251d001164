"""The context of md-raid's tasks: connections, and what the experiment adds to them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from workloads.connectors.script import Script, ScriptResult
from workloads.deployment import Deployment
from workloads.errors import WorkloadError
from workloads.md_raid import parsers
from workloads.md_raid.topology import Leg, Mirror, Topology, leg_path
from workloads.sampling import Sampling, host_sampler
from workloads.scripts import find_script

SCRIPTS = Path(__file__).parent / "scripts"
SAMPLE_SECONDS = 1.0
T = TypeVar("T")


def script(name: str) -> Script:
    """Returns the script called `name`, with the functions that it may use."""
    return find_script(name, SCRIPTS, "iscsi")


def sampling(context: Context, interval_seconds: float = SAMPLE_SECONDS) -> Sampling:
    """Samples CPU, network, memory and disks of all hosts for the duration of a `with` block.

    A volume's disk is the logical volume on its server, and the iSCSI disk on the client.
    """
    disks = {
        server.name: {volume.id: leg_path(volume.id) for volume in server.volumes}
        for server in context.topology.servers
    }
    found = context.client_state().disks
    disks[context.client_name] = {
        leg.volume: found[leg.iqn].device for leg in context.topology.legs if leg.iqn in found
    }
    sampler = host_sampler(script("host_sample"), context.hosts, interval_seconds=interval_seconds, disks=disks)
    return Sampling(context.hosts, context.results, [sampler])


@dataclass(kw_only=True)
class Context(Deployment):
    """The deployment with its topology; `absent` holds the mirrors that are still to be created."""

    topology: Topology
    absent: list[Mirror] = field(default_factory=list)
    _state: parsers.ClientState | None = None

    @classmethod
    def of(cls, deployment: Deployment) -> Context:
        """Returns the context of open connections."""
        return cls(**vars(deployment), topology=Topology.of(deployment.inventory))

    @property
    def client_name(self) -> str:
        """The client's name."""
        return self.topology.client.name

    def client_error(self, what: str, remedy: str) -> WorkloadError:
        """Returns an error that names the client as the host."""
        return WorkloadError(what, remedy, self.client_name)

    def on_client(self, name: str, arguments: Iterable[str] = (), idle_timeout_seconds: float = 300) -> ScriptResult:
        """Runs a script on the client."""
        connector = self.hosts.connector(self.client_name)
        result = connector.run(script(name), arguments, idle_timeout_seconds=idle_timeout_seconds)
        if result.changed:
            self._state = None
        return result

    def client_state(self, *, fresh: bool = False) -> parsers.ClientState:
        """Returns the client's disks and arrays: as last read, unless a script has changed something since or `fresh`
        is set.
        """
        if self._state is None or fresh:
            self._state = self._parsed(parsers.client_state, self.on_client("client_state").stdout)
        return self._state

    def client_disks(self) -> parsers.ClientState:
        """Returns the client's state, in a tenth of the time: without the arrays' details and all labels, unless these
        are known.
        """
        if self._state is not None:
            return self._state
        return self._parsed(parsers.client_state, self.on_client("client_state", ["disks"]).stdout)

    def devices_of(self, legs: Sequence[Leg]) -> list[str]:
        """Returns the client's disks of those legs. Raises WorkloadError where one has none."""
        disks = self.client_disks().disks
        for leg in legs:
            if leg.iqn not in disks:
                raise self.client_error(
                    f"no disk came from {leg.iqn} ({leg.server})",
                    f"see that {leg.server} is up, then run configure again",
                )
        return [disks[leg.iqn].device for leg in legs]

    def array_status(self) -> dict[str, parsers.ArrayStatus]:
        """Returns the client's arrays by name, as the kernel shows them now."""
        return self._parsed(parsers.mdstat, self.on_client("client_mdstat").stdout)

    def _parsed(self, read: Callable[[str], T], text: str) -> T:
        try:
            return read(text)
        except parsers.ParseError as error:
            raise self.client_error(str(error), "see /proc/mdstat and mdadm --detail there") from None

    def leg_by_device(self, state: parsers.ClientState) -> dict[str, Leg]:
        """Returns which leg each of the client's disks is, by its session's target: the names of disks change."""
        legs = {leg.iqn: leg for leg in self.topology.legs}
        return {disk.device: legs[target] for target, disk in state.disks.items() if target in legs}

    def record_arrays(self, when: str, state: parsers.ClientState | None = None) -> None:
        """Adds the arrays' current state to the results."""
        state = state or self.client_state(fresh=True)
        by_device = self.leg_by_device(state)
        for name in sorted(state.arrays, key=lambda array: (len(array), array)):
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
