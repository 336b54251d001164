"""The experiment's constants, each with its reason."""

from __future__ import annotations

from pathlib import Path

SCRIPTS = Path(__file__).parent / "scripts"

# The original's "15 GB" were made with `lvcreate -L 15G`, which is 15 GiB (16.1 GB); five of them, less
# md's labels, make the 75 GB array. Volumes are given in GiB by EC2 too, whatever its pages call them.
LEG_GIB = 15


def leg_path(volume: str) -> str:
    """Returns the logical volume on an EBS volume."""
    return f"/dev/tidemark-{volume}/leg"


# A mirror has a leg on each server, and as many copies of its data as there are servers.
SERVERS_MIN, SERVERS_MAX = 2, 8
ARRAY_BYTES_AT_LEAST = 75 * 10**9

LAYOUT_NAMES = {"near": "n", "far": "f", "offset": "o"}
"""md's own names of RAID-10's layouts, without the number of copies (md(4), mdadm(8) --layout)."""
MIRROR_LAYOUT = LAYOUT_NAMES["offset"]
"""Each leg has every third chunk next in line. A RAID-1 of rotating legs reads a stream from one of them."""

# mdadm's default, and so the original's: a sequential request of 1 MiB spans two chunks.
CHUNK_KIB = 512

STRIPE = "md99"
BENCH_STRIPE = "md98"


def bench_mirror(number: int) -> str:
    """Returns the name of a temporary mirror."""
    return f"md{100 + number}"


# Cells shorter than this are sampled more often, since each end of a cell is known to a sample.
SHORT_CELL_SECONDS = 10.0
SAMPLE_SECONDS, SAMPLE_SECONDS_SHORT = 1.0, 0.25

NETWORK_UNIT = "network-online.target"
"""The unit after which the portals' addresses are up."""

# These decide how long reads stall when a server dies: the initiator pings each target every noop_out_interval seconds,
# gives it noop_out_timeout to answer, and fails the pending requests after replacement_timeout more; then md reads from
# another leg. Measured for 120/5/5 (replacement, interval, timeout; open-iscsi's defaults) 132 s, for 5/5/5 15.2 s, for
# 1/1/2 4.2 s. Short limits cost little: a leg that is dropped by mistake is rebuilt from the bitmap.
SESSION_SETTINGS = (
    "node.startup=automatic",
    "node.session.timeo.replacement_timeout=1",
    "node.conn[0].timeo.noop_out_interval=1",
    "node.conn[0].timeo.noop_out_timeout=2",
)

PACKAGES = {
    "storage": ("lvm2", "targetcli-fb"),
    "client": ("mdadm", "open-iscsi"),
}
MODULES = {
    "storage": ("dm_mod", "target_core_mod", "target_core_iblock", "iscsi_target_mod"),
    "client": ("iscsi_tcp", "sd_mod", "raid0", "raid1", "raid10"),
}

# An ICMP echo of 8973 bytes makes an IPv4 packet of 9001 with its two headers (20 + 8).
IP_ICMP_HEADERS_BYTES = 28
# A port that no security group opens: NVMe/TCP's, which nothing here uses.
CLOSED_PORT = 4420
