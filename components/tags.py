"""The tags that everything carries, and the options that keep the expiry from moving."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pulumi

EXPIRES_AT = "expires-at"
MEMORY_LIMIT = "memory-limit-mib"
UPLINK = "uplink-mbit-per-s"

IGNORE_EXPIRY = f'tags["{EXPIRES_AT}"]'


@dataclass(frozen=True)
class Tags:
    """Whose a resource is and how long it may live. `expires_at` is UTC in RFC 3339 with Z."""

    project: str
    stack: str
    experiment: str
    expires_at: str

    def named(self, name: str) -> dict[str, str]:
        """All tags of a resource of that name."""
        return {
            "project": self.project,
            "stack": self.stack,
            "experiment": self.experiment,
            EXPIRES_AT: self.expires_at,
            "Name": name,
        }


def expiry(lifetime_hours: int, now: datetime | None = None) -> str:
    """The time that many hours from now, as the tag has it."""
    end = (now or datetime.now(UTC)) + timedelta(hours=lifetime_hours)
    return end.strftime("%Y-%m-%dT%H:%M:%SZ")


def child_options(
    parent: pulumi.Resource,
    *,
    ignore: Sequence[str] = (),
    depends_on: Sequence[pulumi.Resource] = (),
    protect: bool = False,
    delete_before_replace: bool | None = None,
) -> pulumi.ResourceOptions:
    """Options of a tagged resource below `parent`.

    The expiry is computed anew at each run. What was set at creation stays, so that a later preview shows no
    change and nobody's `pulumi up` prolongs the life of what is there. Stated here and not by a stack
    transform, because transforms do not run under mocks. `ignore` names further properties, spelt as in
    Pulumi's schema.
    """
    return pulumi.ResourceOptions(
        parent=parent,
        ignore_changes=[IGNORE_EXPIRY, *ignore],
        depends_on=list(depends_on),
        protect=protect,
        delete_before_replace=delete_before_replace,
    )
