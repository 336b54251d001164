"""What the tags of a resource say: whose it is, when it expires, and whether its data may be deleted."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

PROJECT = "tidemark"
PROJECT_KEY = "project"
STACK_KEY = "stack"
EXPIRES_AT_KEY = "expires-at"
DATA_KEY = "data"
DISPOSABLE = "disposable"
"""The value of `data` on what stores only what each run writes anew. Without it, data is deleted only by name."""

STACK_NAME = re.compile(r"[a-zA-Z0-9_.-]{1,100}")
"""What Pulumi allows as a stack's name, without its organization and project."""
_EXPIRY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")


@dataclass(frozen=True)
class Owner:
    """The stack that a resource belongs to, and when it expires."""

    stack: str
    expires_at: datetime


def is_ours(tags: Mapping[str, str]) -> bool:
    """Returns whether the tags claim that the resource is this project's; read_owner says whether they are complete."""
    return tags.get(PROJECT_KEY) == PROJECT


def read_owner(tags: Mapping[str, str]) -> Owner | str:
    """Returns the owner that the tags name, or in words why they name none: a missing or malformed tag means no."""
    if PROJECT_KEY not in tags:
        return f"it has no tag {PROJECT_KEY}"
    if not is_ours(tags):
        return f"its tag {PROJECT_KEY} is not {PROJECT}"
    stack = tags.get(STACK_KEY)
    if stack is None:
        return f"it has no tag {STACK_KEY}"
    if not STACK_NAME.fullmatch(stack):
        return f"its tag {STACK_KEY} is not the name of a stack: {stack!r}"
    expires_at = tags.get(EXPIRES_AT_KEY)
    if expires_at is None:
        return f"it has no tag {EXPIRES_AT_KEY}"
    moment = parse_expiry(expires_at)
    if moment is None:
        return f"its tag {EXPIRES_AT_KEY} is not a time such as 2026-11-30T12:00:00Z: {expires_at!r}"
    return Owner(stack, moment)


def parse_expiry(text: str) -> datetime | None:
    """Returns the time that a tag `expires-at` names, in the one form that the components write; None for another."""
    if not _EXPIRY.fullmatch(text):
        return None
    try:
        return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError:  # the 30th of February
        return None


def from_pairs(pairs: Iterable[Mapping[str, Any]] | None) -> dict[str, str]:
    """Returns the tags of a list of keys and values, as most of AWS's services answer."""
    return {pair["Key"]: pair.get("Value", "") for pair in pairs or ()}
