"""Derives from the inventory which volume of which server is a leg of which mirror, and what the arrays are called."""

from __future__ import annotations

from dataclasses import dataclass

from inventory import Host, Inventory, InventoryError
from workloads.errors import WorkloadError
from workloads.iscsi import check_volume_id, initiator_name, target_name

# The original's "15 GB" were made with `lvcreate -L 15G`, which is 15 GiB (16.1 GB); five of them, less
# md's labels, make the 75 GB array. Volumes are given in GiB by EC2 too, whatever its pages call them.
LEG_GIB = 15
# A mirror has a leg on each server, and as many copies of its data as there are servers.
SERVERS_MIN, SERVERS_MAX = 2, 8
STRIPE = "md99"


def leg_path(volume: str) -> str:
    """Returns the logical volume on an EBS volume."""
    return f"/dev/tidemark-{volume}/leg"


@dataclass(frozen=True)
class Leg:
    """One volume, exported as one target, under one mirror."""

    server: str
    volume: str
    device: str
    address: str

    @property
    def iqn(self) -> str:
        """The target's name."""
        return target_name(self.server, self.volume)


@dataclass(frozen=True)
class Mirror:
    """An array of one leg from each storage server."""

    name: str
    legs: tuple[Leg, ...]


@dataclass(frozen=True)
class Topology:
    """Storage servers, client, and mirrors md1, md2, …, which the stripe lies over."""

    client: Host
    servers: tuple[Host, ...]
    mirrors: tuple[Mirror, ...]

    @property
    def hosts(self) -> tuple[Host, ...]:
        """Servers and client."""
        return (*self.servers, self.client)

    @property
    def initiator(self) -> str:
        """The client's initiator name."""
        return initiator_name(self.client.name)

    @property
    def array_names(self) -> list[str]:
        """The mirrors' names, and the stripe's."""
        return [*(mirror.name for mirror in self.mirrors), STRIPE]

    @property
    def legs(self) -> tuple[Leg, ...]:
        """Every leg, mirror by mirror."""
        return tuple(leg for mirror in self.mirrors for leg in mirror.legs)

    def legs_of(self, server: str) -> tuple[Leg, ...]:
        """Returns the legs that lie on one server."""
        return tuple(leg for leg in self.legs if leg.server == server)

    def first_legs(self, servers: int, mirrors: int) -> tuple[tuple[Leg, ...], ...]:
        """Returns the legs of the first mirrors on the first servers, mirror by mirror."""
        return tuple(mirror.legs[:servers] for mirror in self.mirrors[:mirrors])

    @classmethod
    def of(cls, inventory: Inventory) -> Topology:
        """Returns the topology of `inventory`. Raises WorkloadError when it does not fit the experiment."""
        where = f"inventory of {inventory.stack}"
        if inventory.experiment != "md-raid":
            raise WorkloadError(
                f"{where}: experiment is {inventory.experiment}",
                "give the inventory of an md-raid stack",
            )
        try:
            clients = inventory.hosts_in("client")
            servers = inventory.hosts_in("storage")
        except InventoryError as error:
            needed = f"md-raid needs one client and {SERVERS_MIN} to {SERVERS_MAX} storage hosts"
            raise WorkloadError(str(error), needed) from error
        if len(clients) != 1:
            raise WorkloadError(f"{where}: {len(clients)} hosts have the role client", "leave exactly one")
        if not SERVERS_MIN <= len(servers) <= SERVERS_MAX:
            raise WorkloadError(
                f"{where}: {_hosts_have(len(servers))} the role storage",
                f"each mirror has one leg on each server: give {SERVERS_MIN} to {SERVERS_MAX}",
            )
        counts = {server.name: len(server.volumes) for server in servers}
        if len(set(counts.values())) != 1 or 0 in counts.values():
            shown = ", ".join(f"{name} has {count}" for name, count in counts.items())
            raise WorkloadError(f"{where}: {shown} volumes", "give every storage server the same number, at least 1")
        for server in servers:
            for volume in server.volumes:
                check_volume_id(server, volume)
                # LVM's label and the rounding to extents need some more room.
                if volume.size_gib <= LEG_GIB:
                    raise WorkloadError(
                        f"volume {volume.id} has {volume.size_gib} GiB, too small for a leg of {LEG_GIB}",
                        f"give volumes of {LEG_GIB + 1} GiB or more",
                        server.name,
                    )
        legs_of_each = (
            [Leg(server.name, volume.id, volume.device, server.private_address) for volume in server.volumes]
            for server in servers
        )
        numbered = enumerate(zip(*legs_of_each, strict=True), start=1)
        mirrors = tuple(Mirror(f"md{number}", legs) for number, legs in numbered)
        return cls(clients[0], servers, mirrors)


def _hosts_have(count: int) -> str:
    return "1 host has" if count == 1 else f"{count} hosts have"
