"""What the topology drawing shows: who asks, the Elastic IP at the internet gateway, the hosts in their zones."""

from __future__ import annotations

from report.eip_region.schema import MoveFigures
from report.format import MISSING, unbreakable
from report.inventory_view import objects
from report.page import Html, Missing
from report.runs import Record


def topology(inventory: Record, region: str, moves: list[MoveFigures]) -> Html | Missing:
    hosts = [host for host in objects(inventory, "hosts") if isinstance(host.get("name"), str)]
    if not hosts:
        return Missing("The manifest has no inventory: what ran where is not known.")
    addresses = objects(inventory, "elastic_ips")
    address = addresses[0] if addresses else {}
    made = "allocated by the stack" if address.get("allocated") is True else "given to the stack"
    return Html(
        "eip_region_topology.html.j2",
        {
            "client": {"name": "who connects", "words": "outside the region, new connections to port 22"},
            "address": {
                "name": unbreakable(str(address.get("address") or MISSING)),
                "words": f"{address.get('id') or MISSING} \u00b7 {made} \u00b7 {region}",
            },
            "hosts": [
                {
                    "name": unbreakable(str(host["name"])),
                    "words": " \u00b7 ".join(str(host.get(key) or MISSING) for key in ("type", "zone")),
                }
                for host in hosts
            ],
            "link": f"moved {len(moves)} times" if moves else "not moved",
        },
    )
