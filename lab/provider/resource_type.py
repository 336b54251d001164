"""A resource type of the rehearsal region's provider, and what those of all services have in common."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

Values = dict[str, Any]
C = TypeVar("C")


@dataclass(frozen=True)
class ResourceType(Generic[C]):
    """How resources of one type are created, deleted and looked up, with a client of the service.

    `create` returns the id and the computed outputs. `computed` names those that other resources of the program use and
    that are unknown before the creation. `name_input` is the property of the physical name, which is made from the
    logical name if the program gives none. `read_back` returns outputs that may change during the resource's life, as
    AWS's provider reads them at a refresh; None if there are none.
    """

    create: Callable[[C, Values], tuple[str, Values]]
    delete: Callable[[C, str, Values], object]
    exists: Callable[[C, str], bool]
    computed: tuple[str, ...] = ()
    name_input: str | None = None
    read_back: Callable[[C, str], Values] | None = None


def tag_list(inputs: Mapping[str, Any]) -> list[Any]:
    """Returns tags as the API takes them, in a stable order."""
    return [{"Key": key, "Value": value} for key, value in sorted((inputs.get("tags") or {}).items())]


@contextlib.contextmanager
def rollback_on_failure(delete: Callable[[], object]) -> Iterator[None]:
    """Deletes what a first call made if a later call of the same creation fails.

    Before its creation is complete neither the journal nor the engine knows of a resource.
    """
    try:
        yield
    except BaseException:
        with contextlib.suppress(ClientError, BotoCoreError):  # the failure that is raised says more than this one
            delete()
        raise


def without_none(**arguments: Any) -> Any:
    """Returns the arguments that are not None: the API takes a missing argument, not an empty one."""
    return {key: value for key, value in arguments.items() if value is not None}


def given(inputs: Mapping[str, Any], *names: str) -> Any:
    """Returns these of the inputs that are not None as arguments of the API, which begins their names with a capital:
    `subnetId` is `SubnetId`.
    """
    return without_none(**{f"{name[0].upper()}{name[1:]}": inputs.get(name) for name in names})
