"""The tags of every resource, and the options that keep the expiry from changing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pulumi
import pulumi_aws as aws

from reaper.tags import DATA_KEY, DISPOSABLE, EXPIRES_AT_KEY, PROJECT_KEY, STACK_KEY

DISPOSABLE_DATA = {DATA_KEY: DISPOSABLE}
"""On what stores what each run writes anew. `fab account.reap` deletes other data by name only (reaper/tags.py)."""

IGNORE_EXPIRY = f'tags["{EXPIRES_AT_KEY}"]'


@dataclass(frozen=True)
class Tags:
    """The stack that a resource belongs to, and when it expires: UTC in RFC 3339 with Z."""

    project: str
    stack: str
    experiment: str
    expires_at: str

    def named(self, name: str) -> dict[str, str]:
        """Returns all tags of a resource with that name."""
        return {
            PROJECT_KEY: self.project,
            STACK_KEY: self.stack,
            "experiment": self.experiment,
            EXPIRES_AT_KEY: self.expires_at,
            "Name": name,
        }


def expiry(lifetime_hours: int, now: datetime | None = None) -> str:
    """Returns the time that many hours from now, in the tag's form."""
    end = (now or datetime.now(UTC)) + timedelta(hours=lifetime_hours)
    return end.strftime("%Y-%m-%dT%H:%M:%SZ")


def expiry_of(resource: aws.ec2.Instance | aws.lambda_.Function) -> pulumi.Output[str]:
    """Returns the expiry that a resource has, which may be older than the one that this run computed."""
    return resource.tags.apply(lambda found: str((found or {})[EXPIRES_AT_KEY]))


def child_options(
    parent: pulumi.Resource,
    *,
    ignore: Sequence[str] = (),
    depends_on: Sequence[pulumi.Resource] = (),
    protect: bool = False,
    delete_before_replace: bool | None = None,
) -> pulumi.ResourceOptions:
    """Returns the options of a tagged resource below `parent`. `ignore` names further properties whose changes are
    ignored, spelt as in Pulumi's schema.

    Each run computes the expiry anew. Ignoring its change means that a later preview shows no change, and no `pulumi
    up` prolongs a resource's life. A stack transform would not do, since transforms do not run under mocks.
    """
    return pulumi.ResourceOptions(
        parent=parent,
        ignore_changes=[IGNORE_EXPIRY, *ignore],
        depends_on=list(depends_on),
        protect=protect,
        delete_before_replace=delete_before_replace,
    )
