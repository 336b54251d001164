"""The Fabric tasks of encrypted-backup: `fab encrypted-backup.TASK`."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from invoke.exceptions import Exit
from invoke.tasks import task

from workloads.encrypted_backup.options import Options
from workloads.encrypted_backup.snapshots import LATEST, Keep
from workloads.errors import WorkloadError
from workloads.fab import INVENTORY_HELP, collection, reported, run_module
from workloads.lazy_import import lazy_import

if TYPE_CHECKING:
    from workloads.encrypted_backup import tasks
else:
    tasks = lazy_import("workloads.encrypted_backup.tasks")

# A snapshot was made, and something of the sources is not in it: restic's code for the same.
EXIT_INCOMPLETE = 3

COMMON = {
    **INVENTORY_HELP,
    "client": "the host that is backed up, when several could be; or `this`, the machine that you sit at",
    "passphrase_fd": "read the passphrase from this open file descriptor (default: ask)",
    "key_file": "take every byte of this file as the passphrase",
    "type": "what the volume is: luks, or truecrypt or veracrypt to open an existing one",
    "leave_running": "leave the server running at the end",
}


def volume_task(
    name: str | None = None, *, iterable: tuple[str, ...] = (), help: Mapping[str, str] | None = None
) -> Callable[[Callable[..., None]], Any]:
    """A task whose body takes Options first; on the command line these are options like its own (invoke reads the
    signature).
    """
    common = [
        inspect.Parameter(field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default)
        for field in fields(Options)
    ]

    def decorate(body: Callable[..., None]) -> Any:
        @functools.wraps(body)
        def wrapper(_: Any, **given: Any) -> None:
            options = Options(**{field.name: given.pop(field.name) for field in fields(Options)})
            body(options, **given)

        (_, *own) = inspect.signature(body).parameters.values()
        own = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own]
        context = inspect.Parameter("_", inspect.Parameter.POSITIONAL_OR_KEYWORD)
        shown: Any = reported(wrapper)
        shown.__signature__ = inspect.Signature([context, *own, *common])
        return task(name=name, iterable=list(iterable), help={**COMMON, **(help or {})})(shown)

    return decorate


@volume_task(name="format", help={"erase": "the id of the volume, to format it though it holds data"})
def format_(options: Options, erase: str | None = None) -> None:
    """Make the encrypted volume on an empty disk."""
    tasks.format_volume(options, erase)


@volume_task(
    iterable=("source", "exclude"),
    help={
        "source": "a directory to back up; give it as often as needed",
        "exclude": "leave out this name anywhere, or this path from /; * and ? as in the shell; repeat it",
        "one_file_system": "stay within the file systems of the sources",
    },
)
def run(
    options: Options,
    source: list[str] | None = None,
    exclude: list[str] | None = None,
    one_file_system: bool = False,
) -> None:
    """Back directories up: a snapshot more, server stopped again."""
    made = tasks.run(options, source or [], exclude or [], one_file_system=one_file_system)
    if made.unread:
        raise Exit(
            f"tidemark: {made.unread} entries could not be read whole, and are missing in snapshot {made.name} or were "
            "not compared; the first are named above, the rest is kept: mend that, or leave them out by --exclude",
            code=EXIT_INCOMPLETE,
        )


@volume_task(name="list")
def list_(options: Options) -> None:
    """List the snapshots."""
    tasks.list_snapshots(options)


@volume_task(help={"snapshot": f"its name, or {LATEST}", "target": "a directory of the client, empty or absent"})
def restore(options: Options, target: str, snapshot: str = LATEST) -> None:
    """Copy a snapshot out, and compare every checksum."""
    tasks.restore(options, snapshot, target)


@volume_task()
def check(options: Options) -> None:
    """Read everything back, and compare every checksum."""
    tasks.check(options)


@volume_task(
    help={
        "keep_last": "keep so many of the newest",
        "keep_daily": "keep the last of a day, for so many days",
        "keep_weekly": "keep the last of a week, for so many weeks",
        "keep_monthly": "keep the last of a month, for so many months",
    }
)
def prune(
    options: Options, keep_last: str = "0", keep_daily: str = "0", keep_weekly: str = "0", keep_monthly: str = "0"
) -> None:
    """Remove the snapshots that need not be kept."""
    tasks.prune(options, Keep(*(_number(each) for each in (keep_last, keep_daily, keep_weekly, keep_monthly))))


@task(
    name="recovery-sheet",
    help={name: COMMON[name] for name in ("stack", "inventory", "client", "leave_running")}
    | {"output": "the file to write (Markdown)"},
)
@reported
def recovery_sheet(
    _: Any,
    output: str = "recovery-sheet.md",
    stack: str | None = None,
    inventory: str | None = None,
    client: str | None = None,
    leave_running: bool = False,
) -> None:
    """Write the page for whoever has lost the computer."""
    tasks.recovery_sheet(Options(stack, inventory, client, leave_running=leave_running), output)


@volume_task(help={"source": "the directory of the client that what was restored is compared with"})
def drill(options: Options, source: str) -> None:
    """Restore everything on a blank host, from the sheet."""
    tasks.drill(options, source)


@volume_task(name="all", help={"erase": "the id of the volume, to format it though it holds data"})
def all_(options: Options, erase: str | None = None) -> None:
    """With made-up files: format, back up twice, drill, report."""
    run_module("report", str(tasks.all_(options, erase)))


@task(help={name: COMMON[name] for name in ("stack", "inventory", "client")})
@reported
def release(_: Any, stack: str | None = None, inventory: str | None = None, client: str | None = None) -> None:
    """Unmount, close and detach what a killed run left."""
    tasks.release(Options(stack, inventory, client))


def _number(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise WorkloadError(f"{text} is not a number of snapshots", "give a whole number, such as 7") from None


TASKS = collection("encrypted-backup", format_, run, list_, restore, check, prune, release, recovery_sheet, drill, all_)
