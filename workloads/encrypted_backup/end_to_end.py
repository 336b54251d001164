"""The whole experiment with made-up files: two backups, a search for plaintext, a recovery by the sheet.

The server is searched for known plaintext of the volume: its disk, its memory and captured packets. Each place also
holds a mark that the same search must find: the positive control.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from inventory import Host
from workloads.encrypted_backup import recovery_sheet
from workloads.encrypted_backup.backup import Sources, back_up
from workloads.encrypted_backup.context import Context, host_program, script
from workloads.encrypted_backup.drill import drill
from workloads.encrypted_backup.volume import Volume, claimed, formatted
from workloads.errors import WorkloadError
from workloads.lease import lease, lease_holder

SAMPLE = "/srv/tidemark-sample"
FILES = 300
SHEET = "recovery-sheet.md"
CAPTURE = "/var/tmp/tidemark-backup.pcap"  # as scripts/server_capture.sh has it


def run_end_to_end(context: Context, volume: Volume, blank: Host, erase: str | None, folder: Path) -> None:
    """Runs all of it, and records it in the results; the sheet goes to `folder`.

    Claims the blank host for as long as it lasts: the server's claim ends with each action, and the server is stopped.
    """
    holder = lease_holder(f"all for {context.client_name}")
    with lease(context.hosts.connector(blank.name), script("host_claim"), [holder]):
        seed = secrets.token_hex(6)
        volume.stop_server = False
        context.run = "sample"
        sample(context, "make", seed, str(FILES))
        context.run = "format"
        formatted(context, volume, erase)
        context.run = "first"
        with captured_packets(context):
            back_up(context, volume, Sources([SAMPLE]))
        context.run = "blind"
        with context.step("search"):
            search(context, [f"plaintext-{seed}".encode(), f"name-{seed}".encode()])
        # From here on as a person would: the server is stopped, and each task starts it and stops it at the end.
        context.run = "second"
        sample(context, "change", seed)
        with context.step("stop"):
            context.power.stop(context.server_host)
        back_up(context, volume, Sources([SAMPLE]))
        context.run = "drill"
        with context.performed(claimed(context, stop_server=True)):
            page = recovery_sheet.page_of(context, [SAMPLE])
            (folder / SHEET).write_text(page, encoding="utf-8")
            with context.step("recover"):
                drill(context, page, volume.passphrase, blank, SAMPLE)


def sample(context: Context, *words: str) -> None:
    """Makes or changes the made-up files on the client."""
    (fact, *_) = context.run_long(
        host_program("seed"), [words[0], SAMPLE, *words[1:]], f"{words[0]} the made-up files"
    ).facts
    context.record("sample", **fact)


@contextmanager
def captured_packets(context: Context) -> Iterator[None]:
    """Captures every packet of the server for the duration of the block."""
    context.server.run(script("server_capture"), ["start"])
    try:
        yield
    finally:
        context.server.run(script("server_capture"), ["stop"])


def search(context: Context, patterns: Sequence[bytes]) -> int:
    """Searches the server for the patterns; returns the number of places that have one.

    Raises WorkloadError when a search misses its control, and so proves nothing.
    """
    began = time.monotonic()
    with context.under_way("searching disk, memory and packets"):
        result = context.server.run(
            host_program("search"),
            [f"/dev/tidemark/{context.volume.id}", CAPTURE, *(pattern.hex() for pattern in patterns)],
            idle_timeout_seconds=3600,
        )
    places = [fact for fact in result.facts if "place" in fact]
    for fact in places:
        context.record("searched", seconds=round(time.monotonic() - began, 3), **fact)
        words = f"{fact['found']} of {fact['patterns']} known texts in {fact['read_bytes'] / 1e6:.0f} MB"
        context.console.say(
            "search", f"{fact['place']:<8} {words}; its own mark {'found' if fact['control'] else 'MISSED'}"
        )
        if not fact["control"]:
            raise WorkloadError(f"the search of the {fact['place']} misses its own mark", "see scripts/search.py")
    return sum(bool(fact["found"]) for fact in places)
