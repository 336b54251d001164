"""Searches the server for known plaintext of the volume: on its disk, in memory and in captured packets.

Each place also holds a mark that the same search must find: the positive control.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from workloads.encrypted_backup.context import Context, host_program, script
from workloads.errors import WorkloadError

CAPTURE = "/var/tmp/tidemark-backup.pcap"  # as scripts/server_capture.sh has it


@contextmanager
def captured_packets(context: Context) -> Iterator[None]:
    """Captures every packet of the server for the duration of the block."""
    server = context.server_host.name
    context.hosts.connector(server).run(script("server_capture"), ["start"])
    try:
        yield
    finally:
        context.hosts.connector(server).run(script("server_capture"), ["stop"])


def search(context: Context, patterns: Sequence[bytes]) -> int:
    """Searches the server for the patterns; returns the number of places that have one.

    Raises WorkloadError when a search misses its control, and so proves nothing.
    """
    began = time.monotonic()
    volume = context.server_host.volumes[0]
    with context.under_way("searching disk, memory and packets"):
        result = context.hosts.connector(context.server_host.name).run(
            host_program("search"),
            [f"/dev/tidemark/{volume.id}", CAPTURE, *(pattern.hex() for pattern in patterns)],
            idle_timeout_seconds=3600,
        )
    found = 0
    for fact in result.facts:
        if "place" not in fact:
            continue
        context.record("searched", seconds=round(time.monotonic() - began, 3), **fact)
        words = f"{fact['found']} of {fact['patterns']} known texts in {fact['read_bytes'] / 1e6:.0f} MB"
        context.console.say(
            "search", f"{fact['place']:<8} {words}; its own mark {'found' if fact['control'] else 'MISSED'}"
        )
        if not fact["control"]:
            raise WorkloadError(f"the search of the {fact['place']} misses its own mark", "see scripts/search.py")
        found += bool(fact["found"])
    return found
