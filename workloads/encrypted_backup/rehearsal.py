"""The whole experiment with a tree of made-up files: two backups, a server that is searched, a recovery from the
sheet."""

from __future__ import annotations

import secrets
from pathlib import Path

from inventory import Host
from workloads.encrypted_backup import blind, sheet
from workloads.encrypted_backup.backup import back_up
from workloads.encrypted_backup.context import Context, host_program
from workloads.encrypted_backup.drill import drill, facts
from workloads.encrypted_backup.stages import Stage, entered
from workloads.encrypted_backup.volume import Volume, claimed, formatted

SAMPLE = "/srv/tidemark-sample"
FILES = 300
SHEET = "recovery-sheet.md"


def whole(context: Context, volume: Volume, blank: Host, erase: str | None, folder: Path) -> None:
    """All of it, written to the results; the sheet goes to `folder`."""
    seed = secrets.token_hex(6)
    volume.stop_server = False
    context.run = "sample"
    sample(context, "make", seed, str(FILES))
    context.run = "format"
    formatted(context, volume, erase)
    context.run = "first"
    with blind.recorded_packets(context):
        back_up(context, volume, [SAMPLE])
    context.run = "blind"
    with entered([Stage("search", lambda: _search(context, seed))], context.note):
        pass
    # From here on it is as a person's: the server is stopped, started by the second backup, and stopped at the end.
    context.run = "second"
    sample(context, "change", seed)
    with entered([Stage("stop", lambda: context.power.stop(context.server))], context.note):
        pass
    back_up(context, volume, [SAMPLE])
    context.run = "drill"
    with entered(claimed(context, stop_server=True), context.note):
        page = sheet.rendered(facts(context, [SAMPLE]))
        (folder / SHEET).write_text(page, encoding="utf-8")
        recover = Stage("recover", lambda: recovered(context, page, volume, blank, SAMPLE))
        with entered([recover], context.note):
            pass


def sample(context: Context, *words: str) -> None:
    """Makes or changes the made-up files on the client."""
    (fact, *_) = context.long(
        host_program("seed"), [words[0], SAMPLE, *words[1:]], f"{words[0]} the made-up files"
    ).facts
    context.record("sample", **fact)


def recovered(context: Context, page: str, volume: Volume, blank: Host, source: str) -> None:
    """The drill, told."""
    seconds = drill(context, page, volume.passphrase, blank, source)
    context.console.say("drill", f"{blank.name} has restored everything from the sheet alone in {seconds:.0f} s")


def _search(context: Context, seed: str) -> None:
    blind.search(context, [f"plaintext-{seed}".encode(), f"name-{seed}".encode()])
