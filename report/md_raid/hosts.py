"""What limited a cell, as far as the hosts' counters show it (raw/host.ndjson).

A limit is named where it is reached: a CPU that is busy, a link that carries its rate, volumes that move theirs. The
rates of links are those of AWS's instance types, and in a rehearsal those of its service model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from aws_offers import LINE_RATES
from report.hosts import BUSY_RATIO_MIN, HostSamples, Role, inventory_roles, read_host_samples
from report.md_raid.disks import Disks, Use, read_disks
from report.md_raid.schema import Ceilings, Evidence
from report.md_raid.service_model import InstanceRates, ServiceModel, VolumeRates, read_service_model
from report.missing import divided, known, mean, times, total
from report.records import objects
from report.runs import Run
from report.summary import MB, MIB

# A window begins and ends up to a sample's time within the cell, and a cell begins and ends with fewer requests in
# flight: under the model ebs-2015-c4, cells of 2 s showed 0.93 to 1.0 of what limited them, and 0.84 of the next.
AT_RATE_RATIO_MIN = 0.9

# A cell of 2 s gets what a volume and a network may catch up on, 50 ms each, and a sample's time more or less.
ABOVE_MODEL_RATIO = 1.1

# Of a volume that is not read from: what a label or the end of a cell before takes.
IDLE_RATIO_MAX = 0.05

VOLUMES = "volumes"
EBS_LINK = "server EBS link"
SERVER_NETWORK = "server network"
CLIENT_NETWORK = "client network"
SERVER_CPU = "server CPU"
CLIENT_CPU = "client CPU"


@dataclass(frozen=True)
class Limit:
    limited_by: str | None
    hosts: list[str]
    evidence: Evidence
    above_model: Sequence[str] = ()  # what moved more than its service model allows, in words


@dataclass(frozen=True)
class Work:
    """What a cell did, of which the limit is asked."""

    start_unix_s: float
    end_unix_s: float
    request_bytes: int
    volumes: Sequence[str]


@dataclass
class _Host:
    """Of one host over a cell; None is not known."""

    role: Role
    cpu: float | None
    rx: float | None
    tx: float | None
    rates: InstanceRates | None
    volumes: Mapping[str, Use] = field(default_factory=dict)

    @property
    def link(self) -> float | None:
        """The busier direction's share of its network's rate."""
        rate = None if self.rates is None else self.rates.network_bytes_per_s
        return divided(max(known([self.rx, self.tx]), default=None), rate)

    @property
    def ebs(self) -> float | None:
        """Its volumes' share of its link to them. A run before 2026-12 did not count them: what a target sends, it has
        read from its volumes, since its memory is too small for a cache.
        """
        moved = sum(use.bytes_per_s for use in self.volumes.values()) if self.volumes else self.tx
        return divided(moved, None if self.rates is None else self.rates.ebs_bytes_per_s)


class Hosts:
    """Samples of each host, by name, with what the inventory says of it."""

    def __init__(
        self,
        roles: Sequence[Role],
        samples: dict[str, HostSamples],
        disks: Disks,
        volumes: Mapping[str, tuple[str, str | None]],
        model: ServiceModel | None,
        rehearsal: bool,
    ) -> None:
        self.roles = [role for role in roles if role.role in ("client", "storage")]
        self.samples = samples
        self.disks = disks
        self.volumes = volumes
        self.model = model
        self.rehearsal = rehearsal

    def ceilings(self) -> Ceilings:
        def slowest(role: str, rate: Callable[[InstanceRates], float | None]) -> float | None:
            rates = [self._rates(host) for host in self.roles if host.role == role]
            found = known(rate(each) for each in rates if each is not None)
            return min(found) / MIB if found and len(found) == len(rates) else None

        rates = [each for volume in self.volumes if (each := self._volume_rates(volume)) is not None]
        volume_bytes_per_s = min(known(each.bytes_per_s for each in rates), default=None)
        return Ceilings(
            client_network_mib_per_s=slowest("client", lambda rates: rates.network_bytes_per_s),
            server_network_mib_per_s=slowest("storage", lambda rates: rates.network_bytes_per_s),
            server_ebs_mib_per_s=slowest("storage", lambda rates: rates.ebs_bytes_per_s),
            volume_mib_per_s=times(volume_bytes_per_s, 1 / MIB),
            volume_ops_per_s=min(known(each.ops_per_s for each in rates), default=None),
        )

    def limit(self, work: Work | None) -> Limit:
        if work is None:
            return Limit(None, [], _evidence([], {}, {}, {}))
        hosts = [self._host(role, work) for role in self.roles]
        _fill_in_client(hosts)
        on_server = {
            volume: use
            for volume in work.volumes
            if (use := self.disks.use(self._server_of(volume), volume, work.start_unix_s, work.end_unix_s)) is not None
        }
        used = {
            volume: ratio
            for volume, use in on_server.items()
            if (rates := self._volume_rates(volume)) is not None
            and (ratio := divided(use.bytes_per_s, rates.bytes_per_s_of(work.request_bytes))) is not None
        }
        on_client = {
            volume: use
            for role in self.roles
            if role.role == "client"
            for volume in work.volumes
            if (use := self.disks.use(role.name, volume, work.start_unix_s, work.end_unix_s)) is not None
        }
        evidence = _evidence(hosts, on_server, used, on_client)
        found: dict[str, list[str]] = {}
        for host in hosts:
            client = host.role.role == "client"
            if host.cpu is not None and host.cpu >= BUSY_RATIO_MIN:
                found.setdefault(CLIENT_CPU if client else SERVER_CPU, []).append(host.role.name)
            if _at_rate(host.link):
                found.setdefault(CLIENT_NETWORK if client else SERVER_NETWORK, []).append(host.role.name)
            elif not client and _at_rate(host.ebs):
                found.setdefault(EBS_LINK, []).append(host.role.name)
        if words := self._volumes_at_limit(used, on_server, beside=bool(found)):
            found = {words: [], **found}
        names = sorted({name for of_limit in found.values() for name in of_limit})
        above = [] if self.model is None else _above_model(hosts, used)
        return Limit(" + ".join(found) or None, names, evidence, above)

    def _volumes_at_limit(self, used: Mapping[str, float], uses: Mapping[str, Use], *, beside: bool) -> str | None:
        """Returns which volumes move what they can. If their rate is not known, those that are always busy do, unless
        something else is at its limit (`beside`): a volume is busy as well while it waits for its server's link.
        """
        if used:
            # On average: a random reader finds some volumes by chance more often than others.
            read = [ratio for ratio in used.values() if ratio >= IDLE_RATIO_MAX]
            at_limit = (mean(read) or 0) >= AT_RATE_RATIO_MIN
        else:
            read = [use.busy_ratio for use in uses.values() if use.busy_ratio >= IDLE_RATIO_MAX]
            at_limit = bool(read) and not beside and min(read) >= BUSY_RATIO_MIN
        if not at_limit:
            return None
        return VOLUMES if len(read) == len(uses) else f"{len(read)} of {len(uses)} {VOLUMES}"

    def _host(self, role: Role, work: Work) -> _Host:
        samples = self.samples.get(role.name)
        start, end = work.start_unix_s, work.end_unix_s
        return _Host(
            role,
            samples.cpu_busy_mean(start, end) if samples else None,
            samples.rate(samples.nic_rx_bytes, start, end) if samples else None,
            samples.rate(samples.nic_tx_bytes, start, end) if samples else None,
            self._rates(role),
            self.disks.uses(role.name, start, end) if role.role == "storage" else {},
        )

    def _rates(self, role: Role) -> InstanceRates | None:
        """A rehearsal's hosts have the names of AWS's types, but not their links."""
        if self.rehearsal:
            return None if self.model is None else self.model.instances.get(role.instance_type or "")
        rates = LINE_RATES.get(role.instance_type or "")
        return None if rates is None else InstanceRates(rates.network_bytes_per_s, rates.ebs_bytes_per_s)

    def _volume_rates(self, volume: str) -> VolumeRates | None:
        """Of EBS's own volumes AWS promises more than they do."""
        kind = self.volumes.get(volume, ("", None))[1]
        return None if self.model is None or not self.rehearsal else self.model.volumes.get(kind or "")

    def _server_of(self, volume: str) -> str:
        return self.volumes.get(volume, ("", None))[0]


def _fill_in_client(hosts: Sequence[_Host]) -> None:
    """A client whose CPU is full may miss samples. What it receives is what the servers send."""
    clients = [host for host in hosts if host.role.role == "client"]
    sent = total(host.tx for host in hosts if host.role.role == "storage")
    if len(clients) == 1 and clients[0].rx is None:
        clients[0].rx = sent


def _at_rate(ratio: float | None) -> bool:
    return ratio is not None and ratio >= AT_RATE_RATIO_MIN


def _above_model(hosts: Sequence[_Host], used_volumes: Mapping[str, float]) -> list[str]:
    used = {f"the network of {host.role.name}": host.link for host in hosts}
    used |= {f"the EBS link of {host.role.name}": host.ebs for host in hosts if host.role.role == "storage"}
    used |= used_volumes
    return [
        f"{what} at {ratio:.2f} times its rate"
        for what, ratio in used.items()
        if ratio is not None and ratio > ABOVE_MODEL_RATIO
    ]


def _evidence(
    hosts: Sequence[_Host],
    on_server: Mapping[str, Use],
    used: Mapping[str, float],
    on_client: Mapping[str, Use],
) -> Evidence:
    client = [host for host in hosts if host.role.role == "client"]
    storage = [host for host in hosts if host.role.role == "storage"]
    rx = known(host.rx for host in client)
    tx = max(known(host.tx for host in storage), default=None)
    return Evidence(
        client_cpu_busy_ratio=max(known(host.cpu for host in client), default=None),
        storage_cpu_busy_ratio_max=max(known(host.cpu for host in storage), default=None),
        client_rx_mib_per_s=sum(rx) / MIB if rx else None,
        client_link_used_ratio=max(known(host.link for host in client), default=None),
        storage_tx_mib_per_s_max=times(tx, 1 / MIB),
        storage_link_used_ratio_max=max(known(host.link for host in storage), default=None),
        storage_ebs_used_ratio_max=max(known(host.ebs for host in storage), default=None),
        volume_used_ratio=mean(used.values()),
        volume_busy_ratio=mean(use.busy_ratio for use in on_server.values()),
        client_disk_busy_ratio=mean(use.busy_ratio for use in on_client.values()),
        volume_mb_per_s={volume: use.bytes_per_s / MB for volume, use in on_client.items()} or None,
    )


def read_hosts(run: Run) -> Hosts:
    inventory = run.manifest.inventory
    volumes = {
        str(volume.get("id")): (str(host.get("name")), str(volume["type"]) if "type" in volume else None)
        for host in objects(inventory, "hosts")
        for volume in objects(host, "volumes")
    }
    model = read_service_model(run) if run.manifest.rehearsal else None
    return Hosts(
        inventory_roles(inventory),
        read_host_samples(run),
        read_disks(run),
        volumes,
        model,
        run.manifest.rehearsal,
    )
