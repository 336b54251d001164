"""The whole experiment with made-up files: two backups, a search for plaintext, a recovery by the sheet."""

from __future__ import annotations

import secrets
from pathlib import Path

from inventory import Host
from workloads.encrypted_backup import plaintext_search, recovery_sheet
from workloads.encrypted_backup.backup import Sources, back_up
from workloads.encrypted_backup.context import Context, host_program, script
from workloads.encrypted_backup.drill import drill, facts
from workloads.encrypted_backup.volume import Volume, claimed, formatted
from workloads.lease import lease, lease_holder

SAMPLE = "/srv/tidemark-sample"
FILES = 300
SHEET = "recovery-sheet.md"


def run_end_to_end(context: Context, volume: Volume, blank: Host, erase: str | None, folder: Path) -> None:
    """Runs all of it, and records it in the results; the sheet goes to `folder`.

    Claims the blank host for as long as it lasts: each action claims the server, but stops it at its end.
    """
    holder = lease_holder(f"all for {context.client_name}")
    with lease(context.hosts.connector(blank.name), script("host_claim"), [holder]):
        _run_actions(context, volume, blank, erase, folder)


def _run_actions(context: Context, volume: Volume, blank: Host, erase: str | None, folder: Path) -> None:
    seed = secrets.token_hex(6)
    volume.stop_server = False
    context.run = "sample"
    sample(context, "make", seed, str(FILES))
    context.run = "format"
    formatted(context, volume, erase)
    context.run = "first"
    with plaintext_search.captured_packets(context):
        back_up(context, volume, Sources([SAMPLE]))
    context.run = "blind"
    with context.step("search"):
        plaintext_search.search(context, [f"plaintext-{seed}".encode(), f"name-{seed}".encode()])
    # From here on as a person would: the server is stopped, and each task starts it and stops it at the end.
    context.run = "second"
    sample(context, "change", seed)
    with context.step("stop"):
        context.power.stop(context.server_host)
    back_up(context, volume, Sources([SAMPLE]))
    context.run = "drill"
    with context.performed(claimed(context, stop_server=True)):
        page = recovery_sheet.rendered(facts(context, [SAMPLE]))
        (folder / SHEET).write_text(page, encoding="utf-8")
        with context.step("recover"):
            recover_and_say(context, page, volume, blank, SAMPLE)


def sample(context: Context, *words: str) -> None:
    """Makes or changes the made-up files on the client."""
    (fact, *_) = context.run_long(
        host_program("seed"), [words[0], SAMPLE, *words[1:]], f"{words[0]} the made-up files"
    ).facts
    context.record("sample", **fact)


def recover_and_say(context: Context, page: str, volume: Volume, blank: Host, source: str) -> None:
    """Runs the drill, and prints how long it took."""
    seconds = drill(context, page, volume.passphrase, blank, source)
    context.console.say("drill", f"{blank.name} has restored everything from the sheet alone in {seconds:.0f} s")
