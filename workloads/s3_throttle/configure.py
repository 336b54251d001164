"""Brings the uploader to the state that the experiment needs. A second run changes nothing."""

from __future__ import annotations

from functools import partial
from urllib.parse import urlsplit

from workloads.deployment import Step, install_packages, run_steps
from workloads.s3_throttle.context import ENVIRONMENT, SCRIPTS, SOURCE, Context
from workloads.s3_throttle.environment import Environment, version_of
from workloads.s3_throttle.objects import check_bucket
from workloads.s3_throttle.plan import Plan
from workloads.scripts import find_script

PACKAGES = ("python3", "iproute2")
MODULES = ("sch_tbf",)
"""The queueing discipline of the method `tc`."""
PORT_SECONDS = 10  # S3 answers at once or not at all
FILES_TIMEOUT_S = 900
POOL = f"{SOURCE}/pool"
AWS = f"{ENVIRONMENT}/bin/aws"


def configure(context: Context, plan: Plan) -> int:
    """Brings packages, environment and files to the uploader, and checks the bucket; returns the number of changes."""
    needed = {context.uploader.name: (PACKAGES, MODULES)}
    steps = [
        Step("packages", lambda: install_packages(context, find_script("host_packages", SCRIPTS), needed)),
        Step("environment", partial(bring_environment, context)),
        Step("bucket", partial(reach_bucket, context)),
        Step("files", partial(make_files, context, plan)),
    ]
    return run_steps(context, steps)


def bring_environment(context: Context) -> int:
    """Copies the AWS CLI and the throttle."""
    environment = Environment.load()
    context.versions["uploader environment"] = environment.digest
    context.versions["aws-cli"] = version_of("awscli")
    return int(environment.bring_to(context.connector))


def reach_bucket(context: Context) -> int:
    """Checks that the bucket exists, and that the uploader reaches S3. Raises WorkloadError."""
    check_bucket(context)
    endpoint = context.bucket.endpoint or f"https://s3.{context.inventory.region}.amazonaws.com"
    parts = urlsplit(endpoint)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return context.on_uploader("uploader_reach", [str(parts.hostname), str(port), str(PORT_SECONDS)]).changed


def make_files(context: Context, plan: Plan) -> int:
    """Makes the files of the first sync, and notes their SHA-256 in order of their names."""
    count = plan.probe_bytes // plan.object_bytes
    if len(context.sums) == count:
        return 0  # this run has made them
    arguments = [POOL, str(count), str(plan.object_bytes)]
    result = context.on_uploader("uploader_files", arguments, idle_timeout_seconds=FILES_TIMEOUT_S)
    found = sorted((str(fact["object"]), str(fact["sha256"])) for fact in result.facts if "object" in fact)
    context.sums = [sha256 for _, sha256 in found]
    return result.changed
