"""Finds all that an account has of this project, in several regions side by side."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from reaper.ec2 import find_in_ec2, find_users_of_profiles
from reaper.plan import Resource, ref
from reaper.services import find_buckets, find_file_systems, find_in_iam, find_scheduled_reapers, find_tagged

PARALLEL = 8
HOME_REGION = "us-east-1"
"""Every account has it; IAM and the list of regions are asked there."""
REGION_NAME = re.compile(r"[a-z]{2,3}(-[a-z]+)+-[0-9]{1,2}")
_ASKED_BY_THEMSELVES = frozenset({"elasticfilesystem", "s3", "iam"})
_PARTS_OF_REAPERS = frozenset({"events", "lambda", "cloudwatch", "logs"})

ClientOf = Callable[[str, str], Any]
"""Returns the client of a service in a region, the same each time, in any thread."""


def made_once(make: ClientOf) -> ClientOf:
    """Returns what `make` returns, each client made once, and one at a time: boto3's default session is not
    thread-safe.
    """
    made: dict[tuple[str, str], Any] = {}
    making = threading.Lock()

    def client_of(region: str, service: str) -> Any:
        with making:
            if (region, service) not in made:
                made[region, service] = make(region, service)
            return made[region, service]

    return client_of


API_ERRORS = (ClientError, BotoCoreError, ResponseParserError)


@dataclass
class Found:
    """The resources, and which services of which regions did not answer, with the reason."""

    resources: list[Resource] = field(default_factory=list)
    unasked: dict[str, str] = field(default_factory=dict)

    def add(self, what: str, find: Callable[[], Iterable[Resource]]) -> None:
        """Adds what `find` returns; on an error of the API, the reason, and nothing of it."""
        try:
            self.resources.extend(list(find()))
        except API_ERRORS as error:
            self.unasked[what] = short_reason(error)


def short_reason(error: Exception) -> str:
    """Returns what an error of the API says, in one line."""
    if isinstance(error, ClientError):
        detail = error.response.get("Error", {})
        return " ".join(f"{detail.get('Code', 'an error')} ({detail.get('Message', error)})".split())
    if isinstance(error, ResponseParserError):  # its text is the whole page that was received
        return "what answers is no endpoint of AWS"
    return " ".join(str(error).split())


def enabled_regions(client_of: ClientOf) -> list[str]:
    """Returns the regions that the account may use."""
    return sorted(each["RegionName"] for each in client_of(HOME_REGION, "ec2").describe_regions()["Regions"])


def find_all(regions: Sequence[str], client_of: ClientOf, *, with_reapers: bool = True) -> Found:
    """Returns what there is in these regions, and in IAM; the parts of scheduled reapers only `with_reapers`."""
    found = Found()
    with ThreadPoolExecutor(PARALLEL) as pool:
        for part in pool.map(lambda region: _find_in_region(region, client_of, with_reapers), regions):
            found.resources += part.resources
            found.unasked |= part.unasked
    if regions:
        found.add("S3", lambda: find_buckets(client_of(regions[0], "s3"), regions))
    iam = Found()
    iam.add("IAM", lambda: find_in_iam(client_of(HOME_REGION, "iam")))
    found.resources.extend(_of_regions(iam.resources, regions, found.unasked))
    found.unasked.update(iam.unasked)
    _find_users_of_profiles(found, client_of)
    return found


def _of_regions(roles: Iterable[Resource], regions: Sequence[str], unasked: Mapping[str, str]) -> Iterator[Resource]:
    """Leaves out roles and profiles of stacks in other regions, where somebody may use them.

    A stack's name ends with its region. What a region that did not answer may use has a barrier.
    """
    for each in roles:
        place = each.stack.rpartition(".")[2]
        if REGION_NAME.fullmatch(place) and place not in regions:
            continue
        silent = [what for what in unasked if what.partition(" ")[0] == place]
        yield each if not silent else replace(each, barriers=(*each.barriers, f"{silent[0]} did not answer"))


def _find_in_region(region: str, client_of: ClientOf, with_reapers: bool) -> Found:
    mine = Found()
    mine.add(f"{region} EC2", lambda: find_in_ec2(client_of(region, "ec2"), region))
    mine.add(f"{region} EFS", lambda: find_file_systems(client_of(region, "efs"), region))
    # The network interfaces of a file system's mount targets go with it.
    interfaces = {ref("network-interface", id) for each in mine.resources for id in each.facts.get("interfaces", ())}
    tagged = Found()
    tagged.add(f"{region} tagging", lambda: find_tagged(client_of(region, "resourcegroupstaggingapi"), region))
    services = {each.kind for each in tagged.resources}
    if with_reapers and services & _PARTS_OF_REAPERS:
        mine.add(f"{region} reaper", lambda: find_scheduled_reapers(partial(client_of, region), region))
    others = [each for each in tagged.resources if each.kind not in _ASKED_BY_THEMSELVES | _PARTS_OF_REAPERS]
    own = [each for each in mine.resources if each.ref not in interfaces]
    return Found(own + others, mine.unasked | tagged.unasked)


def _find_users_of_profiles(found: Found, client_of: ClientOf) -> None:
    """Adds the instances of any region that have one of the profiles: IAM does not say who uses one."""
    profiles = [each for each in found.resources if each.kind == "instance-profile"]
    if not profiles:
        return
    arns = [name for each in profiles for name in each.names]
    known = {each.ref for each in found.resources}
    users = Found()

    def one(region: str) -> None:
        users.add(f"{region} EC2", lambda: find_users_of_profiles(client_of(region, "ec2"), region, arns))

    try:
        regions = enabled_regions(client_of)
    except API_ERRORS as error:
        regions = []
        users.unasked["the regions"] = short_reason(error)
    with ThreadPoolExecutor(PARALLEL) as pool:
        list(pool.map(one, regions))
    found.resources.extend(each for each in users.resources if each.ref not in known)
    if users.unasked:
        why = f"its users are not known: {', '.join(f'{what} {reason}' for what, reason in users.unasked.items())}"
        found.resources = [
            replace(each, barriers=(*each.barriers, why)) if each in profiles else each for each in found.resources
        ]
