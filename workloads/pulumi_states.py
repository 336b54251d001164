"""Reads what the states of a Pulumi backend know, so that what an engine created and lost can be told from the rest."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from workloads.errors import WorkloadError
from workloads.load_inventory import run_pulumi

RECENT = timedelta(hours=1)
"""Where the locks of a backend cannot be seen, a stack that was updated within this time may still be."""


@dataclass(frozen=True)
class KnownResources:
    """What a backend knows: its URL, this project's stacks, every string of their resources, and which stacks an engine
    may be changing, with the reason.
    """

    backend: str
    stacks: frozenset[str]
    strings: frozenset[str]
    busy: dict[str, str]


def read_states(backend: str | None, now: datetime | None = None) -> KnownResources:
    """Reads the states of all of this project's stacks. Raises WorkloadError if one of them cannot be read."""
    url = str(_pulumi(backend, "whoami", "--json")["url"])
    listed: list[dict[str, Any]] = _pulumi(backend, "stack", "ls", "--json")
    strings: set[str] = set()
    for stack in listed:
        state = _pulumi(backend, "stack", "export", "--stack", stack["name"])
        deployment = state.get("deployment") or {}
        for resource in deployment.get("resources") or []:
            strings |= set(_strings(resource))
    names = {str(stack["name"]).rpartition("/")[2] for stack in listed}
    return KnownResources(url, frozenset(names), frozenset(strings), _busy(url, listed, now or datetime.now(UTC)))


def _busy(url: str, listed: list[dict[str, Any]], now: datetime) -> dict[str, str]:
    found = {}
    locks = _lock_folder(url)
    for stack in listed:
        name = str(stack["name"]).rpartition("/")[2]
        if stack.get("updateInProgress"):
            found[name] = "an update of its stack is in progress"
        elif locks is not None:
            if any(locks.glob(f"**/{name}/*.json")):
                found[name] = f"its stack is locked: wait, or run pulumi cancel -s {name} if the update was killed"
        elif url.partition("://")[0] not in ("http", "https"):
            updated = stack.get("lastUpdate")
            if updated and now - datetime.fromisoformat(updated) < RECENT:
                found[name] = "its stack was updated within an hour, and this backend's locks cannot be seen"
    return found


def _lock_folder(url: str) -> Path | None:
    parts = urlsplit(url)
    if parts.scheme != "file":
        return None
    return Path(unquote(f"{parts.netloc}{parts.path}")).expanduser() / ".pulumi" / "locks"


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
        lines = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise WorkloadError(f"`{what}`: {lines[-1] if lines else 'it failed'}", "see `pulumi whoami -v`")
    try:
        return json.loads(done.stdout)
    except json.JSONDecodeError as error:
        raise WorkloadError(f"`{what}` does not answer in JSON", "see that the Pulumi CLI is version 3") from error
