"""The scheduled reaper: its package by itself, what its role allows, and its own stack, against the region's API."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pulumi
import pytest
from moto.awslambda.models import lambda_backends
from moto.events.models import events_backends
from moto.logs.models import logs_backends

from components.reaper import packaged_files
from reaper import scheduled
from reaper.plan import ORDER, Selection, Status
from reaper.reap import Reaping
from reaper.scheduled import OWN_KINDS, STACK_PREFIX, role_policy
from tests.components.stack_program import Run, run_program, stack_file
from tests.lab.conftest import REGION
from tests.reaper.conftest import Account, allowed_actions

STACK = f"{STACK_PREFIX}{REGION}"
NAME = f"tidemark-reaper-{REGION}"
CALL = """
import json, sys
sys.path[:0] = [sys.argv[1]]
import reaper.scheduled
assert reaper.scheduled.__file__.startswith(sys.argv[1])
for room in ("aws_offers", "components", "fabric", "inventory", "pulumi", "rich", "workloads"):
    assert room not in sys.modules, room
class Context:
    invoked_function_arn = sys.argv[2]
    def get_remaining_time_in_millis(self): return 900_000
print(json.dumps(reaper.scheduled.handler({}, Context())))
"""


@pytest.fixture
def declared() -> Run:
    return run_program(Run(), stack_file(STACK), STACK)


@pytest.fixture
def functions() -> Iterator[None]:
    """Services that the experiments do not use: the endpoint does not empty them."""
    for backends in (lambda_backends, events_backends, logs_backends):
        backends.reset()
    yield
    for backends in (lambda_backends, events_backends, logs_backends):
        backends.reset()


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """The archive as Lambda gets it."""
    path = tmp_path / "package.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, asset in packaged_files().items():
            assert isinstance(asset, pulumi.FileAsset)
            archive.write(str(asset.path), name)
    return path


def create_reaper(account: Account, declared: Run, package: Path) -> str:
    """Creates what the component declares, as its provider would. Returns the function's ARN."""

    def client(service: str) -> Any:
        return account.client_of(REGION, service)

    def inputs(type_end: str) -> dict[str, Any]:
        return declared.one(type_end).inputs

    role, policy = inputs("role:Role"), inputs(":RolePolicy")
    iam, name = client("iam"), f"{NAME}-role-0123456"
    pairs = [{"Key": key, "Value": value} for key, value in role["tags"].items()]
    arn = iam.create_role(
        RoleName=name, AssumeRolePolicyDocument=role["assumeRolePolicy"], Description=role["description"], Tags=pairs
    )["Role"]["Arn"]
    iam.put_role_policy(RoleName=name, PolicyName="policy", PolicyDocument=policy["policy"])
    group = inputs(":LogGroup")
    client("logs").create_log_group(logGroupName=group["name"], tags=group["tags"])
    function = inputs(":Function")
    made: str = client("lambda").create_function(
        FunctionName=function["name"],
        Runtime=function["runtime"],
        Role=arn,
        Handler=function["handler"],
        Code={"ZipFile": package.read_bytes()},
        Timeout=int(function["timeout"]),
        MemorySize=int(function["memorySize"]),
        LoggingConfig={"LogFormat": "Text", "LogGroup": function["loggingConfig"]["logGroup"]},
        Tags=function["tags"],
    )["FunctionArn"]
    rule = inputs(":EventRule")
    pairs = [{"Key": key, "Value": value} for key, value in rule["tags"].items()]
    client("events").put_rule(Name=f"{NAME}-rule-0", ScheduleExpression=rule["scheduleExpression"], Tags=pairs)
    client("events").put_targets(Rule=f"{NAME}-rule-0", Targets=[{"Id": "1", "Arn": made}])
    alarm = inputs(":MetricAlarm")
    client("cloudwatch").put_metric_alarm(
        AlarmName=f"{NAME}-expiry-0",
        Namespace=alarm["namespace"],
        MetricName=alarm["metricName"],
        Dimensions=[{"Name": key, "Value": value} for key, value in alarm["dimensions"].items()],
        Statistic=alarm["statistic"],
        ComparisonOperator=alarm["comparisonOperator"],
        Threshold=alarm["threshold"],
        Period=int(alarm["period"]),
        EvaluationPeriods=int(alarm["evaluationPeriods"]),
        TreatMissingData=alarm["treatMissingData"],
        Tags=[{"Key": key, "Value": value} for key, value in alarm["tags"].items()],
    )
    return made


def call(account: Account, package: Path, arn: str) -> tuple[dict[str, int], str]:
    """Calls the packaged handler in a process that has nothing else of this project."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("AWS", "PYTHON"))} | {
        "AWS_ENDPOINT_URL": account.api.url,
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "x",
    }
    done = subprocess.run(
        [sys.executable, "-c", CALL, str(package), arn],
        env=environment,
        cwd=package.parent,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    *log, outcome = done.stdout.splitlines()
    found: dict[str, int] = json.loads(outcome)
    return found, "\n".join(log)


@pytest.mark.usefixtures("functions")
def test_the_package_deletes_what_has_expired_and_nothing_else(
    account: Account, declared: Run, package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arn = create_reaper(account, declared, package)
    account.deploy("eip-region.lab")
    young = set(account.left())
    with monkeypatch.context() as patch:
        patch.setattr("components.experiment.expiry", lambda hours: "2020-01-01T00:00:00Z")
        account.deploy("iscsi-tunnel.lab")
        account.deploy("s3-throttle.lab")
    (protected,) = account.protected_volumes()
    outcome, log = call(account, package, arn)
    assert outcome["left"] == 0, log
    assert outcome["deleted"] == log.count("deleted ") >= 30
    assert f"protected iscsi-tunnel.lab volume {protected}" in log
    assert set(account.left()) == young | {f"volume {protected}"}
    outcome, log = call(account, package, arn)
    assert outcome == {"deleted": 0, "left": 0}
    metrics = account.client_of(REGION, "cloudwatch").list_metrics(Namespace="tidemark/reaper")["Metrics"]
    alarm = declared.one(":MetricAlarm").inputs
    watched = {"MetricName": alarm["metricName"], "Dimensions": [{"Name": "Stack", "Value": STACK}]}
    assert watched in [{key: each[key] for key in watched} for each in metrics], "what the alarm watches is there"


@pytest.mark.usefixtures("functions")
def test_its_own_stack_is_deleted_by_name(account: Account, declared: Run, package: Path) -> None:
    create_reaper(account, declared, package)
    scheduled = Selection(datetime(2100, 1, 1, tzinfo=UTC), spared_prefix=STACK_PREFIX)
    plan = account.plan(scheduled)
    assert plan.delete == ()
    assert {kept.resource.kind for kept in plan.kept} == OWN_KINDS | {"role"}
    assert plan.with_status(Status.LEFT) == ()
    named = Selection(datetime.now(UTC), stack=STACK)
    assert [each.kind for each in account.plan(named).delete] == [
        kind for kind in ORDER if kind in OWN_KINDS | {"role"}
    ]
    assert account.reap(named) == []
    assert account.plan(named).kept == ()
    assert account.left() == []
    assert account.client_of(REGION, "events").list_rules()["Rules"] == []


def test_its_role_deletes_only_with_the_projects_tag_and_in_its_region() -> None:
    policy = json.loads(role_policy(REGION, NAME))
    for statement in policy["Statement"]:
        deletes = [
            action
            for action in statement["Action"]
            if not action.partition(":")[2].startswith(("Describe", "Get", "List"))
        ]
        if statement["Effect"] == "Deny" or not deletes:
            continue
        resources = statement["Resource"] if isinstance(statement["Resource"], list) else [statement["Resource"]]
        if statement.get("Condition") == {"StringEquals": {"aws:ResourceTag/project": "tidemark"}}:
            assert all(f":{REGION}:" in each or each.startswith("arn:aws:iam::") for each in resources)
        elif deletes[0].startswith("s3:"):
            assert all(each.startswith("arn:aws:s3:::tidemark-") for each in resources)
        else:
            assert set(deletes) <= {
                "ec2:DeleteNetworkInterface",
                "cloudwatch:PutMetricData",
                "logs:CreateLogStream",
                "logs:PutLogEvents",
            }
            assert "Condition" in statement or NAME in resources[0]
    assert "*" not in "".join(allowed_actions(policy))


def test_the_archive_is_the_package(package: Path) -> None:
    names = zipfile.ZipFile(io.BytesIO(package.read_bytes())).namelist()
    assert "reaper/scheduled.py" in names
    assert all(name.startswith("reaper/") and name.endswith(".py") for name in names)


def test_a_function_that_runs_out_of_time_ends_in_order(
    account: Account, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in (("ENDPOINT_URL", account.api.url), ("ACCESS_KEY_ID", "x"), ("SECRET_ACCESS_KEY", "x")):
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setenv("AWS_REGION", REGION)
    put: list[int] = []
    metrics: Callable[..., None] = lambda region, client_of, arn, left, now: put.append(left)  # noqa: E731
    monkeypatch.setattr(scheduled, "_put_metrics", metrics)
    monkeypatch.setattr("components.experiment.expiry", lambda hours: "2020-01-01T00:00:00Z")
    account.deploy("eip-region.lab")
    before = account.left()

    class Context:
        invoked_function_arn = "arn"

        def get_remaining_time_in_millis(self) -> int:
            return 0

    waiting = Reaping.run

    def run(reaping: Any) -> Any:
        assert reaping.stop.wait(10)
        return waiting(reaping)

    monkeypatch.setattr(Reaping, "run", run)
    outcome = scheduled.handler({}, Context())
    assert outcome["deleted"] == 0
    assert put == [outcome["left"]]
    assert outcome["left"] >= 15
    assert "there was no time" in capsys.readouterr().out
    assert account.left() == before
