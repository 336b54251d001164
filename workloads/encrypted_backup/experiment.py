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

CLIENT = Option(
    "client", "the host that is backed up, or `this` machine (default: the host with the role client, else `this`)"
)
LEAVE_RUNNING = Option("leave_running", "leave the server running at the end", False)
ERASE = Option("erase", "the id of the volume: format it even if it holds data")
KEEP = (
    Option("keep_last", "number of the newest snapshots to keep (default: 0)", "0"),
    Option("keep_daily", "number of days of which the last snapshot is kept (default: 0)", "0"),
    Option("keep_weekly", "number of weeks of which the last snapshot is kept (default: 0)", "0"),
    Option("keep_monthly", "number of months of which the last snapshot is kept (default: 0)", "0"),
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
        Option(
            "type", "the volume's format: luks (default), or truecrypt or veracrypt to open an existing one", "luks"
        ),
        LEAVE_RUNNING,
    ),
    tasks=(
        Task(
            "format",
            "Make the encrypted volume.\n\nRefuses a disk that holds data, unless --erase names it.",
            lambda r: tasks.format_volume(r),
            (ERASE,),
        ),
        Task(
            "run",
            "Add a snapshot of directories.\n\n"
            "Starts the server, attaches the volume, copies, reads the copies back, detaches the volume and stops the "
            "server.\n"
            "The exit code is 3 when entries could not be read.",
            lambda request: tasks.run(request),
            (
                Option("source", "a directory to back up (required); may be given several times", repeatable=True),
                Option(
                    "exclude",
                    "a name, or a path from /, to leave out; * and ? as in the shell; may be given several times",
                    repeatable=True,
                ),
                Option("one_file_system", "stay within the file systems of the sources", False),
                Option("checksum", "read every file, even if its ctime has not changed", False),
            ),
        ),
        Task("list", "List the snapshots.", lambda request: tasks.list_snapshots(request)),
        Task(
            "restore",
            "Copy a snapshot out and compare checksums.",
            lambda request: tasks.restore(request),
            (
                Option("target", "a directory of the client, empty or absent", REQUIRED),
                Option("snapshot", "its name, as `list` shows it (default: latest)", "latest"),
            ),
        ),
        Task("check", "Read all back and compare checksums.", lambda request: tasks.check(request)),
        Task(
            "prune",
            "Remove snapshots that no rule keeps.\n\nEach option is a rule. At least one is needed.",
            lambda request: tasks.prune(request),
            KEEP,
        ),
        Task(
            "release",
            "Clean up after a run that was killed.",
            lambda request: tasks.release(request),
            (STACK, INVENTORY, CLIENT),
            common=False,
        ),
        Task(
            "recovery-sheet",
            "Write the page for a lost computer.\n\nIt has every command that restores a backup on a blank machine.",
            lambda request: tasks.write_recovery_sheet(request),
            (
                Option("output", "the Markdown file to write (default: recovery-sheet.md)", "recovery-sheet.md"),
                STACK,
                INVENTORY,
                CLIENT,
                LEAVE_RUNNING,
            ),
            common=False,
        ),
        Task(
            "drill",
            "Restore on a blank host by the sheet.\n\n"
            "Types the commands of the recovery sheet on a host that has nothing else, and compares the files.",
            lambda request: tasks.drill(request),
            (Option("source", "the directory of the client to compare the restored files with", REQUIRED),),
        ),
        Task(
            "all",
            "Do everything with made-up files.\n\n"
            "Formats the volume, backs up twice, searches the server for the files' contents, restores on a blank "
            "host, and reports.",
            lambda request: tasks.run_all(request),
            (ERASE,),
            reports=True,
        ),
    ),
)
