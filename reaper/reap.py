"""Carries out a plan: several regions side by side, each resource looked at once more right before it is deleted."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from reaper.find import API_ERRORS, HOME_REGION, ClientOf, short_reason
from reaper.kinds import KINDS, Busy, Kind
from reaper.plan import GLOBAL, Plan, Resource, Selection, needed_by
from reaper.services import error_code, is_gone

PAUSE_SECONDS = 2.0
TIMEOUT_SECONDS = {"instance": 600.0, "file-system": 300.0}
"""How long AWS may take to shut one down, or to delete its mount targets. The next call goes on waiting."""
USUAL_TIMEOUT_SECONDS = 60.0
"""After an instance has ended, its network interface and its volumes are in use for some seconds more."""

_BUSY_CODES = frozenset(
    {
        "DependencyViolation",
        "DeleteConflict",
        "FileSystemInUse",
        "IncorrectFileSystemLifeCycleState",
        "IncorrectState",
        "InvalidIPAddress.InUse",
        "InvalidPlacementGroup.InUse",
        "VolumeInUse",
    }
)


@dataclass(frozen=True)
class Undeleted:
    """A resource that should have been deleted and is still there."""

    resource: Resource
    reason: str


@dataclass
class Reaping:
    """One execution of a plan. `report` is called for each resource that is gone, from several threads.

    `stop` ends it before the next call. Whatever ends it, the next execution goes on: all it knows is what AWS says.
    """

    plan: Plan
    selection: Selection
    client_of: ClientOf
    report: Callable[[Resource], object]
    pause_seconds: float = PAUSE_SECONDS
    timeout_factor: float = 1.0
    clock: Callable[[], float] = time.monotonic
    stop: threading.Event = field(default_factory=threading.Event)
    _undeleted: dict[str, Undeleted] = field(default_factory=dict)

    def run(self) -> list[Undeleted]:
        """Deletes what the plan says, and returns what is left of it."""
        regions = sorted({each.region for each in self.plan.delete} - {GLOBAL})
        with ThreadPoolExecutor(max(len(regions), 1)) as pool:
            try:
                for done in [pool.submit(self._delete, self.plan.of_region(region)) for region in regions]:
                    done.result()
            except BaseException:  # an interrupt, too: no region begins another deletion
                self.stop.set()
                raise
        self._delete(self.plan.of_region(GLOBAL))
        return list(self._undeleted.values())

    def _delete(self, resources: Sequence[Resource]) -> None:
        for each in resources:
            if (begin := KINDS[each.kind].begin) is not None:
                self._attempt(each, KINDS[each.kind], begin)
        for each in resources:
            if each.ref not in self._undeleted and self._attempt(each, KINDS[each.kind], KINDS[each.kind].delete):
                self.report(each)

    def _attempt(self, resource: Resource, kind: Kind, call: Callable[..., object]) -> bool:
        """Makes the call if the resource is still to be deleted; waits while it is busy. Returns whether it is gone."""
        client = self.client_of(HOME_REGION if resource.region == GLOBAL else resource.region, kind.service)
        until = self.clock() + self.timeout_factor * TIMEOUT_SECONDS.get(resource.kind, USUAL_TIMEOUT_SECONDS)
        while True:
            if reason := self._reason_to_stop(resource):
                return self._leave(resource, reason)
            try:
                tags = kind.tags(client, resource)
                if refusal := self.selection.reason_to_keep(resource, tags):
                    return self._leave(resource, f"its tags have changed: {refusal[1]}")
                call(client, resource)
                return True
            except Busy as busy:
                reason = str(busy)
            except LookupError:
                return True
            except API_ERRORS as error:
                if is_gone(error):
                    return True
                reason = short_reason(error)
                if error_code(error) not in _BUSY_CODES:
                    return self._leave(resource, reason)
            if self.clock() >= until:
                return self._leave(resource, reason)
            self.stop.wait(self.pause_seconds)

    def _reason_to_stop(self, resource: Resource) -> str | None:
        if self.stop.is_set():
            return "there was no time"
        remaining = [left.resource for left in list(self._undeleted.values())]
        keeper = needed_by(remaining, {each.ref: each for each in self.plan.delete}).get(resource.ref)
        return None if keeper is None or keeper is resource else f"{keeper.words} needs it and is still there"

    def _leave(self, resource: Resource, reason: str) -> bool:
        self._undeleted[resource.ref] = Undeleted(resource, reason)
        return False
