"""What the topology drawing shows: clients, the network, mount targets, the file system."""

from __future__ import annotations

import math

from report.format import MISSING, figure, unbreakable
from report.inventory_view import host_words, objects
from report.page import Html, Missing
from report.runs import Record

_MODES = {"generalPurpose": "General Purpose", "maxIO": "Max I/O"}


def topology(inventory: Record) -> Html | Missing:
    hosts = [host for host in objects(inventory, "hosts") if isinstance(host.get("name"), str)]
    if not hosts:
        return Missing("The manifest has no inventory: what ran where is not known.")
    system = inventory.get("file_system")
    system = system if isinstance(system, dict) else None
    targets = objects(system, "mount_targets") if system else []
    network = inventory.get("network")
    mtu = network.get("mtu") if isinstance(network, dict) else None
    columns = math.lcm(len(hosts), len(targets) or 1)
    return Html(
        "efs_iops_topology.html.j2",
        {
            "columns": columns,
            "clients": [{**host_words(host), "words": _joined(host.get("type"), host.get("zone"))} for host in hosts],
            "targets": [
                {
                    "name": unbreakable(str(target.get("address") or MISSING)),
                    "words": _joined("mount target", target.get("zone")),
                }
                for target in targets
            ],
            "system": system and {"name": unbreakable(str(system.get("id") or MISSING)), "words": _system(system)},
            "link": f"NFS 4.1 over TCP, port 2049, MTU {MISSING if mtu is None else mtu}",
        },
    )


def _system(system: Record) -> str:
    mode, provisioned = system.get("throughput_mode"), system.get("provisioned_mib_per_s")
    performance = system.get("performance_mode")
    zone = system.get("one_zone")
    return _joined(
        "EFS",
        _MODES.get(str(performance), performance),
        f"{mode}, {figure(provisioned)} MiB/s" if isinstance(provisioned, int | float) else mode,
        f"One Zone, {zone}" if zone else "Regional",
    )


def _joined(*words: object) -> str:
    return " · ".join(str(word) for word in words if word) or MISSING
