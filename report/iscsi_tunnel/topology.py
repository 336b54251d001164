"""What the topology drawing shows: the client, the tunnel, the server and its volume, and who is kept out."""

from __future__ import annotations

from report.format import MISSING
from report.inventory_view import objects
from report.layers_topology import UNKNOWN, Box, Layer, host_box, host_in, joined, layers, mtu_words
from report.page import Html, Missing
from report.runs import Record


def topology(inventory: Record, *, client: str, disk: str, kept_out: str) -> Html | Missing:
    """`client` and `disk` say what the experiment does with them, `kept_out` what the third host is for."""
    server = host_in(inventory, "server")
    if server is None:
        return UNKNOWN
    used, third = host_in(inventory, "client"), host_in(inventory, "third")
    volumes = objects(server, "volumes")
    # Without a client among the hosts it is the person's own machine.
    first = [host_box(used, client) if used else Box("this machine", client)]
    if third:
        first.append(host_box(third, kept_out))
    return layers(
        "The client, the tunnel and the volume",
        [
            Layer(first, f"ssh -w, port 22; iSCSI inside, by no other way; {mtu_words(inventory)} outside the tunnel"),
            Layer([host_box(server, "target, listens inside the tunnel", kind="server")], disk),
            Layer(
                [
                    Box(str(each.get("id") or MISSING), joined(each.get("type"), _size(each)), "array")
                    for each in volumes
                ]
                or [Box("no volume", MISSING, "none")]
            ),
        ],
    )


def _size(volume: Record) -> str | None:
    size = volume.get("size_gib")
    return f"{size} GiB" if isinstance(size, int) else None
