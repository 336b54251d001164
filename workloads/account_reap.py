"""`fab account.reap`: deletes what has expired, or what a stack or a killed engine has left.

What is to be deleted is shown first, with what stays and why. Then it asks. What an engine created and lost is told
from the rest by the states of a Pulumi backend.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from reaper.find import ClientOf, Found, made_once
from reaper.plan import GLOBAL, Plan, Resource, Selection, Status, make_plan
from reaper.reap import Reaping, Undeleted
from reaper.tags import PROJECT, STACK_NAME
from workloads.account import look, say_unasked, where
from workloads.aws import aws_client, one_line
from workloads.console import Console, duration_words
from workloads.errors import WorkloadError, last_line
from workloads.load_inventory import run_pulumi

_RESOURCE_ID = re.compile(r"(?:vol|fs)-[0-9a-f]{8,17}|tidemark-[a-z0-9-]+")
RECENT = timedelta(hours=1)
"""Where the locks of a backend cannot be seen, a stack that was updated within this time may still be."""


def reap(
    *,
    region: str | None = None,
    stack: str | None = None,
    orphans: bool = False,
    backend: str | None = None,
    include: Sequence[str] = (),
    yes: bool = False,
    dry_run: bool = False,
    clients: ClientOf | None = None,
    ask: Callable[[str], str] = input,
) -> None:
    """Shows what is to be deleted, asks, and deletes it. Raises WorkloadError if something of it is left."""
    _check_options(region, stack, orphans, backend, include)
    console, client_of = Console(), clients or made_once(aws_client)
    with one_line("the account", "STS"):
        account = client_of("us-east-1", "sts").get_caller_identity()
    console.say("account", f"{account['Account']} as {account['Arn']}")
    # Before the states are read: what an engine makes meanwhile is in them.
    _, found = look(console, region, client_of)
    selection = Selection(datetime.now(UTC), stack=stack, included=frozenset(include))
    if orphans:
        selection = _with_states(selection, backend, console)
    plan = make_plan(found.resources, selection)
    # A name that is misspelt, or of another region, should not pass for a success.
    if missing := sorted(set(include) - {each.id for each in found.resources}):
        raise WorkloadError(f"--include {missing[0]}: there is none here", "see `fab account.reap --dry-run`")
    _show(console, plan, found, selection)
    if dry_run or not plan.delete:
        _finish(console, plan, found, [], deleted=None if dry_run else 0)
        return
    if orphans:
        console.say("states", "a stack of the same name in another backend is not seen: its resources would be orphans")
    _confirm(plan, yes, ask)
    if orphans:  # an engine may have been at work since
        selection = _with_states(replace(selection, now=datetime.now(UTC)), backend, console)
        plan = make_plan(found.resources, selection)
    left, deleted = _carry_out(console, plan, selection, client_of)
    _finish(console, plan, found, left, deleted=deleted)


def _check_options(
    region: str | None, stack: str | None, orphans: bool, backend: str | None, include: Sequence[str]
) -> None:
    if stack is not None and not STACK_NAME.fullmatch(stack):
        raise WorkloadError(f"--stack {stack!r} is not a stack's name", "give one that `fab account.check` shows")
    if backend is not None and not orphans:
        raise WorkloadError("--backend is for --orphans alone", "add --orphans, or leave --backend out")
    for name in include:
        if not _RESOURCE_ID.fullmatch(name):
            raise WorkloadError(
                f"--include {name!r} is not the id of a volume, a file system or a bucket of {PROJECT}",
                "give one that `fab account.reap --dry-run` shows as protected",
            )


def _with_states(selection: Selection, backend: str | None, console: Console) -> Selection:
    with console.under_way("states", "reading the backend's states"):
        states = read_states(backend)
    console.say("states", f"{states.backend} has {', '.join(sorted(states.stacks)) or 'no stack of this project'}")
    return replace(selection, known=states.strings, known_stacks=states.stacks, busy=states.busy)


def _show(console: Console, plan: Plan, found: Found, selection: Selection) -> None:
    for each in plan.delete:
        console.say("delete", f"{_named(each)}{_expiry(each, selection.now)}")
    for status in (Status.PROTECTED, Status.LEFT):
        for kept in plan.with_status(status):
            console.say(status.name.lower(), f"{_named(kept.resource)}  {kept.reason}")
    for kept in plan.with_status(Status.NOT_SELECTED):
        if kept.reason.endswith(" needs it"):
            console.say("in use", f"{_named(kept.resource)}  {kept.reason}")
    say_unasked(console, found)


def _named(resource: Resource) -> str:
    name = resource.tags.get("Name", "")
    return f"{where(resource)}{f' ({name})' if name else ''}"


def _expiry(resource: Resource, now: datetime) -> str:
    seconds = (now - datetime.fromisoformat(resource.tags["expires-at"])).total_seconds()
    return f"  expired {duration_words(seconds)} ago" if seconds >= 0 else f"  EXPIRES IN {duration_words(-seconds)}"


def _confirm(plan: Plan, yes: bool, ask: Callable[[str], str]) -> None:
    if yes:
        return
    if ask is input and not (sys.stdin and sys.stdin.isatty()):  # None where it is closed (<&-)
        raise WorkloadError("nothing was deleted, since there is no terminal to ask on", "give --yes or --dry-run")
    stacks = sorted({each.stack for each in plan.delete})
    question = f"Delete these {len(plan.delete)} resources of {', '.join(stacks)} for good? Only 'yes' will do: "
    try:
        answer = ask(question)
    except EOFError:
        answer = ""
    if answer.strip() != "yes":
        raise WorkloadError("nothing was deleted", "")


def _carry_out(console: Console, plan: Plan, selection: Selection, client_of: ClientOf) -> tuple[list[Undeleted], int]:
    done: list[Resource] = []
    with console.under_way("reap", f"{len(plan.delete)} resources") as progress:

        def report(resource: Resource) -> None:
            done.append(resource)
            console.say("deleted", _named(resource))
            progress.update(f"{len(done)} of {len(plan.delete)} deleted")

        left = Reaping(plan, selection, client_of, report).run()
    return left, len(done)


def _finish(console: Console, plan: Plan, found: Found, left: Sequence[Undeleted], *, deleted: int | None) -> None:
    """Says how it ended. What should have gone and is still there makes the exit code 1; what is protected does not."""
    for each in left:
        console.say("left", f"{_named(each.resource)}  {each.reason}")
    count = len(left) + len(plan.with_status(Status.LEFT))
    regions = len({each.region for each in plan.delete} - {GLOBAL})
    if deleted is None:
        console.say("reap", f"would delete {len(plan.delete)} resources in {regions} regions")
    else:
        console.say("reap", f"deleted {deleted} resources")
    if protected := len(plan.with_status(Status.PROTECTED)):
        console.say("reap", f"{protected} protected resources stay until they are named")
    if found.unasked:
        raise WorkloadError(f"not asked: {', '.join(sorted(found.unasked))}", "see the reasons above, and run it again")
    if count:
        raise WorkloadError(f"{count} resources are left", "see the reasons above, and run it again")


@dataclass
class KnownResources:
    """What a backend knows: its URL, this project's stacks, every string of their resources, and which stacks an engine
    may be changing, with the reason.
    """

    backend: str
    stacks: set[str] = field(default_factory=set)
    strings: set[str] = field(default_factory=set)
    busy: dict[str, str] = field(default_factory=dict)


def read_states(backend: str | None, now: datetime | None = None) -> KnownResources:
    """Reads the states of all of this project's stacks. Raises WorkloadError if one of them cannot be read."""
    known = KnownResources(str(_pulumi(backend, "whoami", "--json")["url"]))
    for stack in _pulumi(backend, "stack", "ls", "--json"):
        state = _pulumi(backend, "stack", "export", "--stack", stack["name"])
        for resource in (state.get("deployment") or {}).get("resources") or []:
            known.strings.update(_strings(resource))
        name = str(stack["name"]).rpartition("/")[2]
        known.stacks.add(name)
        if reason := _why_busy(known.backend, name, stack, now or datetime.now(UTC)):
            known.busy[name] = reason
    return known


def _why_busy(url: str, name: str, stack: dict[str, Any], now: datetime) -> str | None:
    backend = urlsplit(url)
    if stack.get("updateInProgress"):
        return "an update of its stack is in progress"
    if backend.scheme == "file":
        locks = Path(unquote(f"{backend.netloc}{backend.path}")).expanduser() / ".pulumi" / "locks"
        if any(locks.glob(f"**/{name}/*.json")):
            return f"its stack is locked: wait, or run pulumi cancel -s {name} if the update was killed"
    elif backend.scheme not in ("http", "https"):
        updated = stack.get("lastUpdate")
        if updated and now - datetime.fromisoformat(updated) < RECENT:
            return "its stack was updated within an hour, and this backend's locks cannot be seen"
    return None


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from _strings(each)
    elif isinstance(value, list):
        for each in value:
            yield from _strings(each)


def _pulumi(backend: str | None, *arguments: str) -> Any:
    what = f"pulumi {' '.join(arguments)}"
    done = run_pulumi(*arguments, remedy="install the Pulumi CLI: its states tell what is an orphan", backend=backend)
    if done.returncode != 0:
        reason = last_line(done.stderr) or last_line(done.stdout) or "it failed"
        raise WorkloadError(f"`{what}`: {reason}", "see `pulumi whoami -v`")
    try:
        return json.loads(done.stdout)
    except json.JSONDecodeError as error:
        raise WorkloadError(f"`{what}` does not answer in JSON", "see that the Pulumi CLI is version 3") from error
