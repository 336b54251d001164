"""The scheduled reaper: a stack of its own, `reaper.<region>`, chosen by `tidemark:component: reaper`.

It is no experiment: it has neither hosts nor tasks. Its function runs the code of `fab account.reap` (reaper/) every
hour, and deletes what has expired in its region.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pulumi
import pulumi_aws as aws

from aws_offers import REGIONS
from components.aws_settings import ENDPOINTS, REGION, read_aws_settings
from components.policy import assumed_by
from components.settings import Settings
from components.tags import Tags, child_options, expiry, expiry_of
from reaper.scheduled import HOURS_METRIC, METRIC_NAMESPACE, STACK_PREFIX, role_policy

COMPONENT = "tidemark:component"
NAME = "reaper"
_LIFETIME = "tidemark:lifetimeHours"
_EVERY_HOURS = "tidemark:everyHours"
_TOPIC = "tidemark:alarmTopicArn"
_TOPIC_ARN = re.compile(r"arn:aws[a-z-]*:sns:[a-z0-9-]+:\d{12}:[A-Za-z0-9_-]{1,256}")

LONGEST_LIFETIME_HOURS = 366 * 24
WARNING_HOURS = 24
"""The alarm goes off as many hours before the reaper expires."""
_RUNTIME = "python3.13"  # has boto3 (Lambda Developer Guide, "Building Lambda functions with Python")
_TIMEOUT_SECONDS = 900  # the most that Lambda allows
_MEMORY_MIB = 256
_LOG_DAYS = 30


@dataclass(frozen=True)
class ReaperConfig:
    """The settings of this stack. Nobody is told of the alarm if `topic_arn` is None."""

    project: str
    stack: str
    region: str
    lifetime_hours: int
    every_hours: int
    topic_arn: str | None


def is_reaper(settings: Settings) -> bool:
    """Returns whether the stack is a scheduled reaper. Adds an error for a component that does not exist."""
    name = settings.optional_text(COMPONENT)
    if name is not None and name != NAME:
        settings.add_error(COMPONENT, f"there is no {name}", f"set it to {NAME}, or remove the line for an experiment")
    return name == NAME


def check(settings: Settings, project: str) -> ReaperConfig:
    """Reads and validates everything. Raises ValidationError with every error; creates nothing."""
    aws_settings = read_aws_settings(settings)
    if aws_settings.rehearsal:
        settings.add_error(ENDPOINTS, "a rehearsal has no Lambda", "remove the endpoints")
    if settings.is_valid(REGION) and aws_settings.region not in REGIONS:
        settings.add_error(REGION, f"there is no region {aws_settings.region}", "name one, such as eu-central-1")
    stack_name = f"{STACK_PREFIX}{aws_settings.region}"
    if settings.is_valid(REGION) and settings.stack != stack_name:
        settings.add_error(
            COMPONENT, f"a reaper of {aws_settings.region} is the stack {stack_name}", "rename the stack"
        )
    topic = settings.text_or_none(_TOPIC)
    if topic is not None and not _TOPIC_ARN.fullmatch(topic):
        settings.add_error(
            _TOPIC, f"{topic} is not the ARN of an SNS topic", "see aws sns list-topics, or set it to none"
        )
    config = ReaperConfig(
        project,
        settings.stack,
        aws_settings.region,
        settings.integer(_LIFETIME, 1, LONGEST_LIFETIME_HOURS, 2_160, required=True),
        settings.integer(_EVERY_HOURS, 1, 12, 1),
        topic,
    )
    settings.reject_unknown("tidemark")
    settings.raise_errors()
    return config


class ScheduledReaper(pulumi.ComponentResource):
    """The function with its role, the rule that calls it, and the alarm of its own expiry.

    The alarm also goes off when the function does not run, since the metric is missing then.
    """

    stack_outputs: dict[str, pulumi.Input[object]]

    def __init__(self, config: ReaperConfig, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("tidemark:reaper:ScheduledReaper", NAME, None, opts)
        name = f"{config.project}-{NAME}-{config.region}"
        tags = Tags(config.project, config.stack, NAME, expiry(config.lifetime_hours))
        below = pulumi.ResourceOptions(parent=self)
        role = aws.iam.Role(
            f"{name}-role",
            assume_role_policy=assumed_by("lambda.amazonaws.com"),
            description=f"The scheduled reaper of {config.project} in {config.region}",
            tags=tags.named(f"{name}-role"),
            opts=child_options(self),
        )
        allowed = aws.iam.RolePolicy(
            f"{name}-role-policy", role=role.name, policy=role_policy(config.region, name), opts=below
        )
        log_group = aws.cloudwatch.LogGroup(
            f"{name}-logs",
            name=f"/aws/lambda/{name}",
            retention_in_days=_LOG_DAYS,
            tags=tags.named(f"{name}-logs"),
            opts=child_options(self),
        )
        function = aws.lambda_.Function(
            f"{name}-function",
            name=name,
            runtime=_RUNTIME,
            handler="reaper.scheduled.handler",
            code=pulumi.AssetArchive(packaged_files()),
            role=role.arn,
            timeout=_TIMEOUT_SECONDS,
            memory_size=_MEMORY_MIB,
            logging_config=aws.lambda_.FunctionLoggingConfigArgs(log_format="Text", log_group=log_group.name),
            tags=tags.named(name),
            opts=child_options(self, depends_on=[allowed]),
        )
        rule = aws.cloudwatch.EventRule(
            f"{name}-rule",
            description="Deletes what has expired",
            schedule_expression=f"rate({config.every_hours} hour{'s' if config.every_hours > 1 else ''})",
            tags=tags.named(f"{name}-rule"),
            opts=child_options(self),
        )
        permission = aws.lambda_.Permission(
            f"{name}-permission",
            action="lambda:InvokeFunction",
            function=function.name,
            principal="events.amazonaws.com",
            source_arn=rule.arn,
            opts=below,
        )
        aws.cloudwatch.EventTarget(
            f"{name}-target",
            rule=rule.name,
            arn=function.arn,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[permission]),
        )
        periods = config.every_hours + 1
        aws.cloudwatch.MetricAlarm(
            f"{name}-expiry",
            alarm_description=f"{config.stack} expires within {WARNING_HOURS} hours, or does not run",
            namespace=METRIC_NAMESPACE,
            metric_name=HOURS_METRIC,
            dimensions={"Stack": config.stack},
            statistic="Minimum",
            comparison_operator="LessThanThreshold",
            threshold=WARNING_HOURS,
            period=3600,
            evaluation_periods=periods,
            datapoints_to_alarm=periods,
            treat_missing_data="breaching",
            alarm_actions=[] if config.topic_arn is None else [config.topic_arn],
            tags=tags.named(f"{name}-expiry"),
            opts=child_options(self),
        )
        self.stack_outputs = {
            "function": function.name,
            "expires_at": expiry_of(function),
        }
        self.register_outputs({"function": function.name})


def packaged_files() -> dict[str, pulumi.Asset | pulumi.Archive]:
    """Returns what the function runs: the package reaper, which needs nothing but boto3."""
    folder = Path(__file__).parent.parent / "reaper"
    return {f"reaper/{path.name}": pulumi.FileAsset(str(path)) for path in sorted(folder.glob("*.py"))}
