"""s3-throttle: one host that uploads to a bucket, as fast as it may."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

import pulumi

from components.aws_settings import ENDPOINTS, is_url, require_endpoint
from components.bucket import StackBucket, bucket_name
from components.config import CommonConfig
from components.experiment import Experiment, ExperimentComponent, HostEntry
from components.host import Host
from components.limits import HostLimits, read_limits
from components.settings import Settings
from components.stack_validation import HostRequirement, Requirements, ValidatedStack, validate_stack
from inventory import Bucket

_UPLOADER_TYPE = "tidemark:uploaderType"
_BUCKET_ENDPOINT = "tidemark:bucketEndpoint"
_UPLINK = "tidemark:uplinkMbitPerS"
_REHEARSAL_ENDPOINT = "http://198.51.100.1"


@dataclass(frozen=True)
class S3ThrottleConfig:
    """The settings of this experiment. None means AWS's own endpoint for `bucket_endpoint`, no limit for the uplink."""

    uploader_type: str
    bucket_endpoint: str | None
    uplink_mbit_per_s: int | None
    limits: HostLimits


def check(settings: Settings, common: CommonConfig) -> ValidatedStack[S3ThrottleConfig]:
    """Reads and validates everything."""
    config = S3ThrottleConfig(
        # Its network is steady: a burstable type would spend credits, and everything is compared with the free rate.
        uploader_type=settings.text_or(_UPLOADER_TYPE, "m4.xlarge"),
        bucket_endpoint=settings.optional_text(_BUCKET_ENDPOINT),
        uplink_mbit_per_s=settings.integer_or_none(_UPLINK, 1, 1_000),
        # Debian 12 boots in 256 MiB; the AWS CLI with ten uploads at once takes about 150.
        limits=read_limits(settings, min_memory_mib=512),
    )
    require_endpoint(settings, common.aws, "s3", "a bucket")
    require_endpoint(settings, common.aws, "iam", "a role")
    _check_bucket_endpoint(settings, common, config)
    required = Requirements(hosts=[HostRequirement(_UPLOADER_TYPE, config.uploader_type)], limits=config.limits)
    return validate_stack(settings, common, config, required)


def _check_bucket_endpoint(settings: Settings, common: CommonConfig, config: S3ThrottleConfig) -> None:
    endpoint = config.bucket_endpoint
    if not settings.is_valid(ENDPOINTS, _BUCKET_ENDPOINT):
        return
    if not common.aws.rehearsal:
        for key, value in ((_BUCKET_ENDPOINT, endpoint), (_UPLINK, config.uplink_mbit_per_s)):
            if value is not None:
                settings.add_error(key, f"{value} is for a rehearsal, and this stack is for AWS", "remove the line")
        return
    if endpoint is None:
        fault = "missing, and a rehearsal's host reaches S3 nowhere else"
        settings.add_error(_BUCKET_ENDPOINT, fault, f"set it to {_REHEARSAL_ENDPOINT}")
        return
    parts = urlsplit(endpoint) if is_url(endpoint) else None
    if parts is None or parts.scheme != "http" or parts.path.strip("/") or parts.query:
        settings.add_error(_BUCKET_ENDPOINT, f"{endpoint} is not a plain URL", f"set it to {_REHEARSAL_ENDPOINT}")


class S3Throttle(ExperimentComponent[S3ThrottleConfig]):
    """The bucket with a role, and the uploader.

    The uploader reaches S3 at its public address, through the internet gateway, which is free inside the region.
    """

    def __init__(
        self, name: str, stack: ValidatedStack[S3ThrottleConfig], opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("tidemark:experiments:S3Throttle", name, stack, opts)
        common, config = stack.common, stack.config
        bucket = StackBucket(
            f"{name}-bucket",
            {
                "name": bucket_name(common.project, common.stack),
                "tls_only": not common.aws.rehearsal,
                "tags": self.tags,
            },
            self.children,
        )
        uploader = Host(
            "uploader",
            self.host_args(
                config.uploader_type,
                instance_profile=bucket.instance_profile.name,
                uplink_mbit_per_s=config.uplink_mbit_per_s,
                depends_on=bucket.host_dependencies,
            ),
            self.children,
        )
        self.export(
            [HostEntry("uploader", "uploader", config.uploader_type, uploader, self.network.zone)],
            {"uploader_address": uploader.address, "bucket": bucket.bucket.id},
            bucket=bucket.bucket.id.apply(
                lambda found: Bucket(found, config.bucket_endpoint, config.uplink_mbit_per_s)
            ),
        )


EXPERIMENT = Experiment("s3-throttle", check, S3Throttle)
