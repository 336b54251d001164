"""Compares what a rehearsal found with its block-storage model (service-model.json).

What was found comes from the cells' rates, and from how busy volumes and CPUs were: no rate of the model is in it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from report.hosts import BUSY_RATIO_MIN as CPU_BUSY_RATIO_MIN
from report.known_answers import KnownAnswer, KnownAnswers, near
from report.md_raid.hosts import CLIENT_CPU, CLIENT_NETWORK, EBS_LINK, SERVER_NETWORK, VOLUMES, Hosts
from report.md_raid.layouts_and_writes import RAID1, RAID1_ROTATIONAL
from report.md_raid.schema import Cell
from report.md_raid.service_model import ServiceModel
from report.missing import divided
from report.summary import MB, MIB

VOLUME_RATIO = 0.05
RAW_RATIO = 0.05
# md's reads of a stripe meet the volumes by chance, so that some wait while others have nothing to do.
STRIPE_RATIO = 0.10
GROWTH_RATIO = 0.10
# A reader through the page cache waits now and then for what is read ahead.
ONE_READER_RATIO = 0.15
# A cell that reaches less than this of what its volumes, or its servers, do alone is held back by something else.
REACHED_RATIO_MIN = 0.9
ALIKE_RATIO_MIN = 0.85
# A volume with a request in flight is busy. Behind a full network requests wait in the network, and volumes rest.
BUSY_RATIO_MIN = 0.9
NOT_RUN = "not run"
_near = partial(near, not_found=NOT_RUN)


@dataclass(frozen=True)
class Rates:
    """The model's rates for the types of one inventory; None is no limit."""

    volume_bytes_per_s: Callable[[int], float | None]  # with requests of so many bytes
    server_ebs_bytes_per_s: float | None
    server_network_bytes_per_s: float | None
    client_network_bytes_per_s: float | None

    @classmethod
    def of(cls, model: ServiceModel, client_type: str, storage_type: str, volume_type: str) -> Rates:
        volume = model.volumes.get(volume_type)
        server, client = model.instances.get(storage_type), model.instances.get(client_type)
        return cls(
            volume.bytes_per_s_of if volume else lambda _: None,
            server.ebs_bytes_per_s if server else None,
            server.network_bytes_per_s if server else None,
            client.network_bytes_per_s if client else None,
        )

    def ceilings(self, cell: Cell) -> dict[str, float]:
        """Returns the rate in bytes per second that each limit allows to a cell."""
        volume = self.volume_bytes_per_s(cell.request_bytes)
        all_of_them = {
            VOLUMES: None if volume is None else volume * cell.disks,
            EBS_LINK: self.server_ebs_bytes_per_s and self.server_ebs_bytes_per_s * cell.servers,
            SERVER_NETWORK: self.server_network_bytes_per_s and self.server_network_bytes_per_s * cell.servers,
            CLIENT_NETWORK: self.client_network_bytes_per_s,
        }
        return {name: ceiling for name, ceiling in all_of_them.items() if ceiling is not None}

    def rate(self, cell: Cell) -> float | None:
        """Returns the rate in bytes per second that they allow together; None without any limit."""
        return min(self.ceilings(cell).values(), default=None)

    def limits(self, cell: Cell) -> list[str]:
        """Returns the limits of a cell: several if they are too near to each other to be told apart."""
        ceilings = self.ceilings(cell)
        return [name for name, each in ceilings.items() if each * ALIKE_RATIO_MIN <= min(ceilings.values())]


class Found:
    """What the measured cells show of the limits."""

    def __init__(self, cells: Iterable[Cell]) -> None:
        self.cells = [
            cell
            for cell in cells
            if cell.operation == "read" and cell.readers == "many" and cell.layout in ("raw", "stripe")
            # A cell that failed counts as not run.
            if cell.mib_per_s is not None and cell.iops is not None
        ]

    def select(self, layout: str, pattern: str) -> list[Cell]:
        return [cell for cell in self.cells if (cell.layout, cell.pattern) == (layout, pattern)]

    def single(self, pattern: str) -> Cell | None:
        """Returns the cell of one volume alone."""
        return next((cell for cell in self.select("raw", pattern) if cell.disks == 1), None)

    def largest(self, layout: str, pattern: str) -> Cell | None:
        """Returns the cell of most servers, and of most volumes of each."""
        return max(self.select(layout, pattern), key=lambda cell: (cell.servers, cell.disks), default=None)

    def series(self, layout: str, grows_with: Callable[[Cell], int], alike: Callable[[Cell], int]) -> list[Cell]:
        """Returns the sequential cells that are like the largest but for what grows, the smallest first."""
        largest = self.largest(layout, "sequential")
        if largest is None:
            return []
        every = [cell for cell in self.select(layout, "sequential") if alike(cell) == alike(largest)]
        return sorted(every, key=grows_with)

    def limit(self, cell: Cell) -> str | None:
        """Returns what limited a sequential cell, by what fewer volumes and servers did; None if that is not known."""
        if cell.servers == 1:
            one, busy = self.single(cell.pattern), cell.evidence.volume_busy_ratio
            if one is None or busy is None:
                return None
            if _reaches(cell, one, cell.disks):
                return VOLUMES
            # With one server the client's network and the server's look alike.
            return EBS_LINK if busy >= BUSY_RATIO_MIN else _unless_busy(cell, f"{SERVER_NETWORK} or {CLIENT_NETWORK}")
        of_one = (1, _volumes_of_a_server(cell))
        alone = next((each for each in self.select("raw", cell.pattern) if (each.servers, each.disks) == of_one), None)
        if alone is None:
            return None
        if not _reaches(cell, alone, cell.servers):
            return _unless_busy(cell, CLIENT_NETWORK)
        limit = self.limit(alone)
        return SERVER_NETWORK if limit and limit.startswith(SERVER_NETWORK) else limit


def read_known_answers(hosts: Hosts, cells: Sequence[Cell]) -> KnownAnswers | None:
    """Compares the service model with what was found; None if there is no service model."""
    if hosts.model is None:
        return None
    types = {role.role: role.instance_type or "" for role in hosts.roles}
    volume_type = next((kind for _, kind in hosts.volumes.values() if kind), "")
    rates = Rates.of(hosts.model, types.get("client", ""), types.get("storage", ""), volume_type)
    return known_answers(hosts.model.name, rates, cells)


def known_answers(name: str, rates: Rates, cells: Sequence[Cell]) -> KnownAnswers:
    """Returns the known answers of a model by its name, its rates for the run's types, and the run's cells."""
    found = Found(cells)
    rows = [
        _single(found, rates, "sequential", "MB/s", lambda cell, rate: rate / MB),
        _single(found, rates, "random", "op/s", lambda cell, rate: rate / cell.request_bytes),
    ]
    raw = found.series("raw", _servers, _volumes_of_a_server)
    rows += _cell(found, rates, "raw, one server", raw[0] if raw and raw[0].servers == 1 else None, RAW_RATIO)
    rows += _cell(found, rates, "raw, all volumes", found.largest("raw", "sequential"), RAW_RATIO)
    rows += _cell(found, rates, "stripe, all volumes", found.largest("stripe", "sequential"), STRIPE_RATIO)
    rows += [
        _growth(rates, "raw", "servers", raw, _servers),
        _growth(rates, "stripe", "mirrors", found.series("stripe", _mirrors, _servers), _mirrors),
        _growth(rates, "stripe", "servers", found.series("stripe", _servers, _mirrors), _servers),
    ]
    for layout, ratio in (("raw", RAW_RATIO), ("stripe", STRIPE_RATIO)):
        rows.append(_random(rates, layout, found.largest(layout, "random"), ratio))
    rows += _one_reader(rates, cells)
    return KnownAnswers.of(name, rows)


def _single(
    found: Found, rates: Rates, pattern: str, unit: str, convert: Callable[[Cell, float], float]
) -> KnownAnswer:
    cell = found.single(pattern)
    rate = cell and rates.rate(cell)
    measured = cell.mib_per_s * MIB if cell and cell.mib_per_s else None
    return _near(
        f"one volume, {pattern}",
        unit,
        convert(cell, rate) if cell and rate else None,
        convert(cell, measured) if cell and measured else None,
        VOLUME_RATIO,
    )


def _cell(found: Found, rates: Rates, name: str, cell: Cell | None, ratio: float) -> list[KnownAnswer]:
    """Returns the known answers of a sequential cell: its rate, and what limits it."""
    if cell is None:
        return [_near(name, "MB/s", None, None, ratio), KnownAnswer(f"{name}: limit", "", None, NOT_RUN, "same", None)]
    where = f"{name.partition(',')[0]}, {_size(cell)}, sequential"
    rate, limits = rates.rate(cell), rates.limits(cell)
    limit = found.limit(cell)
    within = None if limit is None or not limits else any(each in limits for each in limit.split(" or "))
    return [
        _near(where, "MB/s", divided(rate, MB), (cell.mib_per_s or 0) * MIB / MB, ratio),
        KnownAnswer(f"{where}: limit", "", " or ".join(limits) or None, limit, "same", within),
    ]


def _random(rates: Rates, layout: str, cell: Cell | None, ratio: float) -> KnownAnswer:
    if cell is None:
        return _near(f"{layout}, all volumes, random", "op/s", None, None, ratio)
    model = divided(rates.rate(cell), cell.request_bytes)
    return _near(f"{layout}, {_size(cell)}, random", "op/s", model, cell.iops, ratio)


def _one_reader(rates: Rates, cells: Sequence[Cell]) -> list[KnownAnswer]:
    """One sequential reader of one mirror: a RAID-1 of rotating legs gives it one leg's rate, the offset layout that of
    all legs. How many legs work at a time in a RAID-1 of other legs depends on what is read ahead.
    """
    rows = []
    for cell in cells:
        if (cell.layout, cell.pattern, cell.operation, cell.readers) != ("mirror", "sequential", "read", "one"):
            continue
        if cell.legs_rotational and cell.copies in (RAID1, RAID1_ROTATIONAL):
            read = replace(cell, servers=1, disks=1)
        elif cell.copies == f"o{cell.disks}":
            read = cell
        else:
            continue
        rate = None if cell.mib_per_s is None else cell.mib_per_s * MIB / MB
        name = f"one reader of a mirror, {cell.copies}"
        rows.append(_near(name, "MB/s", divided(rates.rate(read), MB), rate, ONE_READER_RATIO))
    return rows


def _growth(
    rates: Rates, layout: str, grows_with: str, series: Sequence[Cell], units: Callable[[Cell], int]
) -> KnownAnswer:
    if len(series) < 2:
        return _near(f"{layout}, growth with {grows_with}", "times", None, None, GROWTH_RATIO)
    first, last = series[0], series[-1]
    name = f"{layout}, growth from {units(first)} to {units(last)} {grows_with}"
    model = divided(rates.rate(last), rates.rate(first))
    return _near(name, "times", model, divided(last.mib_per_s, first.mib_per_s), GROWTH_RATIO)


def _reaches(cell: Cell, part: Cell, times: int) -> bool:
    return (cell.mib_per_s or 0) >= REACHED_RATIO_MIN * (part.mib_per_s or 0) * times


def _unless_busy(cell: Cell, limit: str) -> str | None:
    """Returns the limit; None for a client that had no CPU left, or may have had none."""
    cpu = cell.evidence.client_cpu_busy_ratio
    if cpu is None:
        return None
    return CLIENT_CPU if cpu >= CPU_BUSY_RATIO_MIN else limit


def _size(cell: Cell) -> str:
    return f"{cell.servers} \u00d7 {_volumes_of_a_server(cell)} volumes"


def _servers(cell: Cell) -> int:
    return cell.servers


def _mirrors(cell: Cell) -> int:
    return cell.mirrors or _volumes_of_a_server(cell)


def _volumes_of_a_server(cell: Cell) -> int:
    return cell.disks // cell.servers
