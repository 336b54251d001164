"""What the topology drawing shows: the uploader, the link, the bucket."""

from __future__ import annotations

from report.format import MISSING, figure
from report.layers_topology import UNKNOWN, Box, Layer, host_box, host_in, layers
from report.page import Html, Missing
from report.runs import Record


def topology(inventory: Record) -> Html | Missing:
    uploader = host_in(inventory, "uploader")
    if uploader is None:
        return UNKNOWN
    bucket = inventory.get("bucket")
    bucket = bucket if isinstance(bucket, dict) else {}
    link = bucket.get("uplink_mbit_per_s")
    rate = f"a link of {figure(link)} Mbit/s" if isinstance(link, int | float) else "a link whose rate is not known"
    where = bucket.get("endpoint") or f"S3 of {inventory.get('region') or MISSING}"
    return layers(
        "The uploader, the link and the bucket",
        [
            Layer([host_box(uploader, "aws s3 sync, and what holds it", kind="server")], f"{rate}; HTTP to {where}"),
            Layer([Box(str(bucket.get("name") or MISSING), "bucket, written by the stack's role alone", "array")]),
        ],
    )
