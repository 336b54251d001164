"""Brings the uploader to the state that the experiment needs; a second run changes nothing."""

from __future__ import annotations

from functools import partial
from urllib.parse import urlsplit

from workloads.deployment import versions_on
from workloads.s3_throttle.context import Context
from workloads.s3_throttle.environment import Environment, version_of
from workloads.s3_throttle.objects import check_bucket
from workloads.s3_throttle.plan import Plan
from workloads.s3_throttle.settings import ENVIRONMENT, MODULES, PACKAGES, PORT_SECONDS, SOURCE
from workloads.steps import Step, run_steps

PACKAGES_TIMEOUT_S = 900
FILES_TIMEOUT_S = 900
POOL = f"{SOURCE}/pool"
AWS = f"{ENVIRONMENT}/bin/aws"


def configure(context: Context, plan: Plan) -> int:
    """Packages, environment, the way to the bucket, files; the number of changes."""
    steps: list[Step] = [
        ("packages", partial(check_packages, context)),
        ("environment", partial(bring_environment, context)),
        ("bucket", partial(reach_bucket, context)),
        ("files", partial(make_files, context, plan)),
    ]
    return run_steps(context, steps)


def check_packages(context: Context) -> int:
    """Packages and kernel modules."""
    result = context.on_uploader("host_packages", [*PACKAGES, "--", *MODULES], idle_timeout_seconds=PACKAGES_TIMEOUT_S)
    context.versions |= versions_on(context.uploader.name, result)
    return result.changed


def bring_environment(context: Context) -> int:
    """The AWS CLI and the throttle."""
    environment = Environment.load()
    context.versions["uploader environment"] = environment.digest
    context.versions["aws-cli"] = version_of("awscli")
    return int(environment.bring_to(context.connector))


def reach_bucket(context: Context) -> int:
    """Sees that the bucket is there, and that the uploader reaches S3."""
    check_bucket(context)
    return check_reach(context)


def check_reach(context: Context) -> int:
    """Raises WorkloadError when the uploader does not reach S3."""
    endpoint = context.bucket.endpoint or f"https://s3.{context.inventory.region}.amazonaws.com"
    parts = urlsplit(endpoint)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return context.on_uploader("uploader_reach", [str(parts.hostname), str(port), str(PORT_SECONDS)]).changed


def make_files(context: Context, plan: Plan) -> int:
    """Sees that the pool has the files of the first sync, and notes their SHA-256 in order of their names."""
    count = plan.probe_bytes // plan.object_bytes
    if len(context.sums) == count:
        return 0  # looked at over this connection
    arguments = [POOL, str(count), str(plan.object_bytes)]
    result = context.on_uploader("uploader_files", arguments, idle_timeout_seconds=FILES_TIMEOUT_S)
    found = sorted((str(fact["object"]), str(fact["sha256"])) for fact in result.facts if "object" in fact)
    context.sums = [sha256 for _, sha256 in found]
    return result.changed
