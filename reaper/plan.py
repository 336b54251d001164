"""Decides what is deleted, in which order, and why all else stays. Pure: it calls nothing and looks at no clock.

A resource is deleted only if its tags are complete and selected, nothing protects it, and nothing that stays needs it.
The last rule is what keeps a network whole for a host that is younger, protected, or somebody else's.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum
from typing import Any

from reaper.tags import DATA_KEY, DISPOSABLE, is_ours, read_owner

GLOBAL = "global"
"""The region of what belongs to no region: IAM."""

# AWS's order: each kind comes after those that use it.
ORDER = (
    "scheduled-rule",
    "function",
    "alarm",
    "instance",
    "file-system",
    "volume",
    "elastic-ip",
    "placement-group",
    "key-pair",
    "security-group-rule",
    "security-group",
    "subnet",
    "route-table",
    "internet-gateway",
    "vpc",
    "bucket",
    "log-group",
    "instance-profile",
    "role",
)
DATA_KINDS = frozenset({"volume", "file-system", "bucket"})
NETWORK_KINDS = frozenset({"security-group-rule", "security-group", "subnet", "route-table", "internet-gateway", "vpc"})


def ref(kind: str, id: str) -> str:
    """Returns how a resource is referred to: ids alone are unique within a kind only."""
    return f"{kind}/{id}"


@dataclass(frozen=True)
class Resource:
    """A resource as AWS describes it. `needs` has the refs of what must stay as long as it stays. `barriers` are facts
    that forbid its deletion. `names` are its other names, by which a state may know it. A resource that is `part_of`
    another one is deleted with that one. `facts` are for its cost.
    """

    region: str
    kind: str
    id: str
    tags: Mapping[str, str]
    needs: frozenset[str] = frozenset()
    barriers: tuple[str, ...] = ()
    names: frozenset[str] = frozenset()
    part_of: str | None = None
    created_at: datetime | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def ref(self) -> str:
        return ref(self.kind, self.id)

    @property
    def words(self) -> str:
        """Kind and id, for a person."""
        return f"{self.kind.replace('-', ' ')} {self.id}"

    @property
    def stack(self) -> str:
        """The stack that the tags name; empty if they name none."""
        return self.tags.get("stack", "")


class Status(IntEnum):
    """Why a resource stays, from the harmless to what a person should look at."""

    NOT_SELECTED = 0
    """It has not expired, or belongs to another stack than the one that was named."""
    PROTECTED = 1
    """It may hold a backup, or its deletion would take one along; naming it deletes it."""
    LEFT = 2
    """It is selected, or its tags do not say, and something forbids its deletion."""


@dataclass(frozen=True)
class Kept:
    """A resource that stays, and why."""

    resource: Resource
    status: Status
    reason: str


@dataclass(frozen=True)
class Selection:
    """Which resources are to be deleted: the expired ones, or those of `stack`, expired or not.

    With `known`, the strings of a backend's states, only what is not among them, and only of stacks that the backend
    has (`known_stacks`) unless one is named. `included` are the ids of protected resources that a person has named.
    Stacks whose names begin with `spared_prefix` are not selected. `busy` are stacks that an engine may be changing,
    with the reason.
    """

    now: datetime
    stack: str | None = None
    known: Collection[str] | None = None
    known_stacks: Collection[str] = ()
    busy: Mapping[str, str] = field(default_factory=dict)
    included: frozenset[str] = frozenset()
    spared_prefix: str | None = None

    def reason_to_keep(self, resource: Resource, tags: Mapping[str, str] | None = None) -> tuple[Status, str] | None:
        """Returns why a resource with these tags (default: its own) stays, as far as they tell; None to delete it."""
        tags = resource.tags if tags is None else tags
        owner = read_owner(tags)
        if isinstance(owner, str):
            other = self.stack is not None and tags.get("stack") not in (None, self.stack)
            return (Status.NOT_SELECTED if other else Status.LEFT), owner
        if self.spared_prefix is not None and owner.stack.startswith(self.spared_prefix):
            return Status.NOT_SELECTED, "the scheduled reaper deletes no reaper"
        if self.stack is not None and owner.stack != self.stack:
            return Status.NOT_SELECTED, f"it belongs to the stack {owner.stack}"
        if self.known is not None:
            if reason := self._known_to_a_state(resource, owner.stack):
                return reason
        elif self.stack is None and owner.expires_at > self.now:
            return Status.NOT_SELECTED, "it has not expired"
        data = resource.kind in DATA_KINDS and resource.part_of is None and tags.get(DATA_KEY) != DISPOSABLE
        if data and resource.id not in self.included:
            return Status.PROTECTED, f"it may hold a backup: --include {resource.id} deletes it"
        return None

    def _known_to_a_state(self, resource: Resource, stack: str) -> tuple[Status, str] | None:
        assert self.known is not None
        if not {resource.id, *resource.names}.isdisjoint(self.known):
            return Status.NOT_SELECTED, "a state knows it"
        if stack in self.busy:
            return Status.LEFT, self.busy[stack]
        if stack not in self.known_stacks and self.stack is None:
            return Status.LEFT, f"this backend has no stack {stack}, but another one may: --stack {stack} deletes it"
        return None


@dataclass(frozen=True)
class Plan:
    """What is deleted, in order, and which resources of this project stay."""

    delete: tuple[Resource, ...]
    kept: tuple[Kept, ...]

    def of_region(self, region: str) -> tuple[Resource, ...]:
        """Returns what is deleted in a region, in order."""
        return tuple(each for each in self.delete if each.region == region)

    def with_status(self, status: Status) -> tuple[Kept, ...]:
        """Returns what stays with that status."""
        return tuple(each for each in self.kept if each.status == status)


def make_plan(found: Iterable[Resource], selection: Selection) -> Plan:
    """Returns what to delete of `found`, which also has what others have in this project's networks."""
    resources = [each for each in found if each.part_of is None]
    kept: dict[str, Kept] = {}
    for each in resources:
        reason = selection.reason_to_keep(each)
        if reason is None and each.barriers:
            reason = Status.LEFT, "; ".join(each.barriers)
        if reason is None and each.kind not in ORDER:
            reason = Status.LEFT, f"nothing here deletes a {each.kind.replace('-', ' ')}"
        if reason is not None:
            kept[each.ref] = Kept(each, *reason)
    _keep_what_is_needed({each.ref: each for each in resources}, kept)
    delete = [each for each in resources if each.ref not in kept]
    delete.sort(key=lambda each: (ORDER.index(each.kind), each.region, each.stack, each.id))
    ours = [each for each in kept.values() if is_ours(each.resource.tags)]
    ours.sort(key=lambda each: (-each.status, each.resource.region, each.resource.stack, each.resource.ref))
    return Plan(tuple(delete), tuple(ours))


def _keep_what_is_needed(resources: Mapping[str, Resource], kept: dict[str, Kept]) -> None:
    """Adds what kept resources need, and so on. What is needed for a graver reason has that reason."""
    waiting = list(kept.values())
    while waiting:
        keeper = waiting.pop()
        status = keeper.status if is_ours(keeper.resource.tags) else Status.LEFT
        for needed in keeper.resource.needs & resources.keys():
            before = kept.get(needed)
            if before is None:
                words = keeper.resource.words
                whose = "" if is_ours(keeper.resource.tags) else ", which is not this project's"
                kept[needed] = Kept(resources[needed], status, f"{words} needs it{whose}")
                waiting.append(kept[needed])
            elif before.status < status and before.reason.endswith(" needs it"):
                kept[needed] = Kept(before.resource, status, before.reason)
                waiting.append(kept[needed])


def needed_by(remaining: Iterable[Resource], resources: Mapping[str, Resource]) -> dict[str, Resource]:
    """Returns the refs of all that `remaining` need, directly or not, each with one that needs it."""
    found: dict[str, Resource] = {}
    waiting = list(remaining)
    while waiting:
        keeper = waiting.pop()
        for needed in keeper.needs:
            if needed not in found:
                found[needed] = keeper
                if needed in resources:
                    waiting.append(resources[needed])
    return found
