"""What a resource type is to the rehearsal region's provider, and what the services' types have in common."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

Values = dict[str, Any]
C = TypeVar("C")


@dataclass(frozen=True)
class Kind(Generic[C]):
    """How one type is made, unmade and looked for, by a client of its service.

    `create` gives the id and the computed outputs; `computed` names those that other resources of the program take,
    which are unknown until the resource exists. `name_input` is the physical name's property, made from the logical
    name when the program gives none. `look` gives what changes while the resource lives, as its provider reads it back
    at a refresh; None where nothing of it does.
    """

    create: Callable[[C, Values], tuple[str, Values]]
    delete: Callable[[C, str, Values], None]
    exists: Callable[[C, str], bool]
    computed: tuple[str, ...] = ()
    name_input: str | None = None
    look: Callable[[C, str], Values] | None = None


def tag_list(inputs: Mapping[str, Any]) -> list[Any]:
    """Tags as the API takes them, in a stable order."""
    return [{"Key": key, "Value": value} for key, value in sorted((inputs.get("tags") or {}).items())]


@contextlib.contextmanager
def all_or_nothing(unmake: Callable[[], object]) -> Iterator[None]:
    """Take back what a first call made when a later one of the same creation fails.

    Until its creation is over no journal and no engine knows of a resource, so nobody else could.
    """
    try:
        yield
    except BaseException:
        with contextlib.suppress(ClientError, BotoCoreError):  # the failure that is raised says more than this one
            unmake()
        raise


def given(**arguments: Any) -> Any:
    """Only the arguments that have a value: the API knows a missing one, not an empty one."""
    return {key: value for key, value in arguments.items() if value is not None}


def void(_: object) -> None:
    """Drop the answer of a call that has none worth keeping."""
