"""The declaration of encrypted-backup for fabfile.py."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from workloads.experiment import INVENTORY, REQUIRED, STACK, Experiment, Option, Task
from workloads.lazy_import import lazy_import

if TYPE_CHECKING:
    from workloads.encrypted_backup import tasks
else:
    tasks = lazy_import(f"{__package__}.tasks")

CLIENT = Option("client", "the host that is backed up, when several could be; or `this`, the machine that you sit at")
LEAVE_RUNNING = Option("leave_running", "leave the server running at the end", False)
ERASE = Option("erase", "the id of the volume, to format it though it holds data")
KEEP = (
    Option("keep_last", "keep so many of the newest", "0"),
    Option("keep_daily", "keep the last of a day, for so many days", "0"),
    Option("keep_weekly", "keep the last of a week, for so many weeks", "0"),
    Option("keep_monthly", "keep the last of a month, for so many months", "0"),
)

EXPERIMENT = Experiment(
    name="encrypted-backup",
    scripts=Path(__file__).parent / "scripts",
    options=(
        STACK,
        INVENTORY,
        CLIENT,
        Option("passphrase_fd", "read the passphrase from this open file descriptor (default: ask)"),
        Option("key_file", "take every byte of this file as the passphrase"),
        Option("type", "what the volume is: luks, or truecrypt or veracrypt to open an existing one", "luks"),
        LEAVE_RUNNING,
    ),
    tasks=(
        Task("format", "Make the encrypted volume on an empty disk.", lambda r: tasks.format_volume(r), (ERASE,)),
        Task(
            "run",
            "Back directories up: a snapshot more, server stopped again.",
            lambda request: tasks.run(request),
            (
                Option("source", "a directory to back up; give it as often as needed", repeatable=True),
                Option(
                    "exclude",
                    "leave out this name anywhere, or this path from /; * and ? as in the shell; repeat it",
                    repeatable=True,
                ),
                Option("one_file_system", "stay within the file systems of the sources", False),
            ),
        ),
        Task("list", "List the snapshots.", lambda request: tasks.list_snapshots(request)),
        Task(
            "restore",
            "Copy a snapshot out, and compare every checksum.",
            lambda request: tasks.restore(request),
            (
                Option("target", "a directory of the client, empty or absent", REQUIRED),
                Option("snapshot", "its name, or latest", "latest"),
            ),
        ),
        Task("check", "Read everything back, and compare every checksum.", lambda request: tasks.check(request)),
        Task("prune", "Remove the snapshots that need not be kept.", lambda request: tasks.prune(request), KEEP),
        Task(
            "release",
            "Unmount, close and detach what a killed run left.",
            lambda request: tasks.release(request),
            (STACK, INVENTORY, CLIENT),
            common=False,
        ),
        Task(
            "recovery-sheet",
            "Write the page for whoever has lost the computer.",
            lambda request: tasks.write_recovery_sheet(request),
            (
                Option("output", "the file to write (Markdown)", "recovery-sheet.md"),
                STACK,
                INVENTORY,
                CLIENT,
                LEAVE_RUNNING,
            ),
            common=False,
        ),
        Task(
            "drill",
            "Restore everything on a blank host, from the sheet.",
            lambda request: tasks.drill(request),
            (Option("source", "the directory of the client that what was restored is compared with", REQUIRED),),
        ),
        Task(
            "all",
            "With made-up files: format, back up twice, drill, report.",
            lambda request: tasks.run_all(request),
            (ERASE,),
            reports=True,
        ),
    ),
)
