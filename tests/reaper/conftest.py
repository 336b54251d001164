"""An account on the region's API, with stacks in it that the project's own program has made."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from lab import program
from lab.leak_check import account_leftovers
from lab.stacks import stack_config
from reaper import find
from reaper.find import Found, find_all
from reaper.plan import Plan, Resource, Selection, make_plan
from reaper.reap import Reaping, Undeleted
from tests.lab.conftest import REGION, Api, api, api_over_http, lab_folder

__all__ = ["api", "api_over_http", "lab_folder"]

STACKS = (
    "md-raid.lab",
    "efs-iops.lab",
    "eip-region.lab",
    "s3-throttle.lab",
    "iscsi-tunnel.lab",
    "encrypted-backup.lab",
)
SMALL = {"tidemark:volumesPerServer": "2"}
"""md-raid with two volumes of what each server has five of."""
READS = ("Describe", "Get", "Head", "List")


class Killed(BaseException):
    """As SIGKILL: nothing that handles errors catches it."""


@dataclass
class Interference:
    """What happens to the calls that change something: `before` may raise, and so may `after`, when AWS has done it."""

    before: Callable[[str, dict[str, Any]], object] = lambda operation, parameters: None
    after: Callable[[str], object] = lambda operation: None
    writes: Counter[str] = field(default_factory=Counter)


@dataclass
class Account:
    """The account of one test, as the reaper sees it through clients that a test can interfere with."""

    api: Api
    folder: Path
    interference: Interference = field(default_factory=Interference)
    calls: set[tuple[str, str]] = field(default_factory=set)
    _made: dict[tuple[str, str], Any] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def client_of(self, region: str, service: str) -> Any:
        with self._lock:
            if (region, service) not in self._made:
                name: Any = service
                client: Any = boto3.client(
                    name, region, endpoint_url=self.api.url, aws_access_key_id="x", aws_secret_access_key="x"
                )
                client.meta.events.register("before-parameter-build.*", self._before)
                client.meta.events.register("after-call.*", self._after)
                self._made[region, service] = client
            return self._made[region, service]

    def _before(self, params: dict[str, Any], model: Any, **_: Any) -> None:
        self.calls.add((model.service_model.service_name, model.name))
        if not model.name.startswith(READS):
            self.interference.before(model.name, params)

    def _after(self, model: Any, http_response: Any, **_: Any) -> None:
        if not model.name.startswith(READS):
            self.interference.writes[model.name] += 1
            self.interference.after(model.name)

    def deploy(self, stack: str, **changes: str) -> program.Journal:
        """Run the program of a stack; md-raid is a small one."""
        config = {**stack_config(stack, self.api.url), **(SMALL if stack == "md-raid.lab" else {}), **changes}
        journal = program.Journal(self.folder / f"{stack}.ndjson")
        program.run_program(stack, config, self.api.url, REGION, journal, lambda _: None)
        return journal

    def find(self) -> Found:
        return find_all([REGION], self.client_of)

    def plan(self, selection: Selection) -> Plan:
        found = self.find()
        assert found.unasked == {}
        return make_plan(found.resources, selection)

    def reap(self, selection: Selection) -> list[Undeleted]:
        """One call: look, plan, delete. It waits for nothing, since this API is done at once."""
        return self.reaping(self.plan(selection), selection).run()

    def reaping(self, plan: Plan, selection: Selection, report: Callable[[Resource], object] = id) -> Reaping:
        return Reaping(plan, selection, self.client_of, report, pause_seconds=0.0, timeout_factor=0.0)

    def everything(self, *include: str) -> Selection:
        """Selects all that has a lifetime of a week at most: it is a fortnight later."""
        return Selection(datetime.now(UTC) + timedelta(days=14), included=frozenset(include))

    def protected_volumes(self) -> list[str]:
        volumes = self.api.ec2.describe_volumes()["Volumes"]
        tags = {each["VolumeId"]: {tag["Key"]: tag["Value"] for tag in each["Tags"]} for each in volumes}
        return sorted(id for id, of in tags.items() if of["Name"] == "server-volume-1" and "data" not in of)

    def left(self) -> list[str]:
        return account_leftovers(self.api.clients)


@pytest.fixture
def account(api: Api, lab_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Account:
    # Of moto's 34 regions: a client takes a tenth of a second to make.
    monkeypatch.setattr(find, "enabled_regions", lambda client_of: [REGION, "us-east-1"])
    return Account(api, lab_folder)


def denied(operation: str) -> ClientError:
    return ClientError({"Error": {"Code": "UnauthorizedOperation", "Message": "injected"}}, operation)


def allowed_actions(policy: dict[str, Any]) -> set[str]:
    """Returns the actions that a policy of IAM allows."""
    return {action for each in policy["Statement"] if each["Effect"] == "Allow" for action in each["Action"]}
