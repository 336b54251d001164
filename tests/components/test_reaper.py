"""The stack of the scheduled reaper under mocks: what it declares, and what it refuses."""

from __future__ import annotations

import json

import pulumi
import pytest

from aws_offers import REGIONS
from reaper.scheduled import HOURS_METRIC, METRIC_NAMESPACE, role_policy
from tests.components.stack_program import Run, run_program, stack_file

STACK = "reaper.eu-central-1"
NAME = "tidemark-reaper-eu-central-1"


def declare(**changes: str | None) -> Run:
    config = stack_file(STACK)
    for key, value in changes.items():
        name = key.replace("__", ":")
        if value is None:
            config.pop(name)
        else:
            config[name] = value
    return run_program(Run(), config, STACK)


def test_what_it_declares() -> None:
    run = declare()
    assert sorted(each.type for each in run.resources if each.custom) == [
        "aws:cloudwatch/eventRule:EventRule",
        "aws:cloudwatch/eventTarget:EventTarget",
        "aws:cloudwatch/logGroup:LogGroup",
        "aws:cloudwatch/metricAlarm:MetricAlarm",
        "aws:iam/role:Role",
        "aws:iam/rolePolicy:RolePolicy",
        "aws:lambda/function:Function",
        "aws:lambda/permission:Permission",
    ]
    for resource in run.resources:
        if "tags" in resource.inputs:
            assert resource.inputs["tags"]["stack"] == STACK
            assert 'tags["expires-at"]' in resource.ignore_changes
    assert run.outputs["function"] == NAME
    assert run.outputs["expires_at"] == run.one(":Function").inputs["tags"]["expires-at"]


def test_it_runs_every_hour_and_one_call_at_most_takes_a_quarter_of_one() -> None:
    run = declare()
    assert run.one(":EventRule").inputs["scheduleExpression"] == "rate(1 hour)"
    assert declare(tidemark__everyHours="6").one(":EventRule").inputs["scheduleExpression"] == "rate(6 hours)"
    function = run.one(":Function").inputs
    assert function["timeout"] == 900
    assert function["handler"] == "reaper.scheduled.handler"
    assert run.one(":Permission").inputs["principal"] == "events.amazonaws.com"


def test_its_role_has_the_policy_of_its_region_and_only_lambda_takes_it() -> None:
    run = declare()
    assert run.one(":RolePolicy").inputs["policy"] == role_policy("eu-central-1", NAME)
    (trust,) = json.loads(run.one("role:Role").inputs["assumeRolePolicy"])["Statement"]
    assert trust["Principal"] == {"Service": "lambda.amazonaws.com"}


def test_the_alarm_goes_off_a_day_before_it_expires_and_when_it_does_not_run() -> None:
    topic = "arn:aws:sns:eu-central-1:123456789012:alarms"
    alarm = declare(tidemark__alarmTopicArn=topic, tidemark__everyHours="2").one(":MetricAlarm").inputs
    assert (alarm["namespace"], alarm["metricName"]) == (METRIC_NAMESPACE, HOURS_METRIC)
    assert (alarm["comparisonOperator"], alarm["threshold"]) == ("LessThanThreshold", 24)
    assert alarm["treatMissingData"] == "breaching"
    assert alarm["evaluationPeriods"] * alarm["period"] > 2 * 3600, "one call in between is always seen"
    assert alarm["evaluationPeriods"] == alarm["datapointsToAlarm"]
    assert alarm["alarmActions"] == [topic]
    assert declare().one(":MetricAlarm").inputs["alarmActions"] == []


@pytest.mark.parametrize(
    ("key", "value", "error"),
    [
        ("tidemark__component", "reeper", "tidemark:component: there is no reeper; set it to reaper"),
        ("tidemark__lifetimeHours", None, "tidemark:lifetimeHours: missing"),
        ("tidemark__lifetimeHours", "9000", "tidemark:lifetimeHours: 9000"),
        ("tidemark__everyHours", "13", "tidemark:everyHours: 13"),
        ("tidemark__alarmTopicArn", "me@example.org", "is not the ARN of an SNS topic"),
        ("tidemark__sshCidr", "203.0.113.7/32", "tidemark:sshCidr"),
        ("aws__region", "eu-central-7", "there is no region eu-central-7"),
        ("aws__region", "eu-west-1", "a reaper of eu-west-1 is the stack reaper.eu-west-1"),
        ("aws__endpoints", json.dumps([{"ec2": "http://127.0.0.1:4566"}]), "a rehearsal has no Lambda"),
    ],
)
def test_a_wrong_stack_is_a_line_and_nothing_is_created(key: str, value: str | None, error: str) -> None:
    run = Run()
    config = stack_file(STACK)
    config.pop(key.replace("__", ":"), None)
    if value is not None:
        config[key.replace("__", ":")] = value
    with pytest.raises(pulumi.RunError, match=r"stacks/Pulumi\.reaper\.eu-central-1\.yaml: ") as refused:
        run_program(run, config, STACK)
    assert error in str(refused.value)
    assert run.resources == []


def test_another_region_has_its_own() -> None:
    for region in sorted(REGIONS)[:3]:
        stack = f"reaper.{region}"
        run = run_program(Run(), stack_file(STACK) | {"aws:region": region}, stack)
        assert run.outputs["function"] == f"tidemark-reaper-{region}"
        assert len(run.one("role:Role").name) + 8 <= 64, "with the engine's suffix"
