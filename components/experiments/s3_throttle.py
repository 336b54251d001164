"""s3-throttle: one host that fills a bucket, as fast as it may."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pulumi

from components import prices
from components.aws_settings import ENDPOINTS, is_url
from components.bucket import StackBucket, bucket_name
from components.checked_stack import CPU_LIMIT, MEMORY_LIMIT, Checked, Wanted, check_stack, read_stack
from components.config import CommonConfig
from components.host import ROOT_VOLUME_GIB, ROOT_VOLUME_TYPE, Host
from components.inventory_output import HostRow, inventory_output
from components.settings import Settings
from components.site import declare_site
from inventory import Bucket

NAME = "s3-throttle"

_UPLOADER_TYPE = "tidemark:uploaderType"
_BUCKET_ENDPOINT = "tidemark:bucketEndpoint"
_UPLINK = "tidemark:uplinkMbitPerS"
_REHEARSAL_ENDPOINT = "http://198.51.100.1"


@dataclass(frozen=True)
class S3ThrottleConfig:
    """The settings of this experiment. None: not limited, and for `bucket_endpoint` AWS's own."""

    uploader_type: str
    bucket_endpoint: str | None
    uplink_mbit_per_s: int | None
    cpu_limit: int | None
    memory_limit_mib: int | None


def read_config(settings: Settings) -> S3ThrottleConfig:
    """Read the experiment's own settings, each by itself."""
    return S3ThrottleConfig(
        # Its network is steady: a burstable type spends credits on it, and all else is measured by the free rate.
        uploader_type=settings.text_or(_UPLOADER_TYPE, "m4.xlarge"),
        bucket_endpoint=settings.optional_text(_BUCKET_ENDPOINT),
        uplink_mbit_per_s=settings.integer_or_none(_UPLINK, 1, 1_000, default=None, example=64),
        cpu_limit=settings.integer_or_none(CPU_LIMIT, 1, 448, default=None, example=4),
        # Debian 12 boots in 256 MiB; the AWS CLI, ten uploads at once, takes about 150.
        memory_limit_mib=settings.integer_or_none(MEMORY_LIMIT, 512, 1 << 24, default=None, example=768),
    )


def check(settings: Settings, project: str, directory: Path) -> Checked[S3ThrottleConfig]:
    """Read and validate everything. Raises ValidationError with every fault; creates nothing."""
    common, config = read_stack(settings, project, directory, NAME, read_config)
    _check_endpoints(settings, common)
    _check_way_to_bucket(settings, common, config)
    roots = prices.VolumeDemand(1, ROOT_VOLUME_TYPE, ROOT_VOLUME_GIB)
    wanted = Wanted(
        types={_UPLOADER_TYPE: config.uploader_type},
        instances={config.uploader_type: 1},
        cost=prices.estimate(common.aws.region, {config.uploader_type: 1}, (roots,)),
        cost_keys=(),
        cpu_limit=config.cpu_limit,
        memory_limit_mib=config.memory_limit_mib,
    )
    return check_stack(settings, common, config, wanted)


def _check_endpoints(settings: Settings, common: CommonConfig) -> None:
    for service, what in (("s3", "a bucket"), ("iam", "a role")):
        if common.aws.rehearsal and service not in common.aws.endpoints and settings.good(ENDPOINTS):
            settings.refuse(ENDPOINTS, f"no {service} among them, so {what} would be created on AWS", f"add {service}")


def _check_way_to_bucket(settings: Settings, common: CommonConfig, config: S3ThrottleConfig) -> None:
    endpoint = config.bucket_endpoint
    if not settings.good(ENDPOINTS, _BUCKET_ENDPOINT):
        return
    if not common.aws.rehearsal:
        for key, value in ((_BUCKET_ENDPOINT, endpoint), (_UPLINK, config.uplink_mbit_per_s)):
            if value is not None:
                settings.refuse(key, f"{value} is of a rehearsal, and this stack is for AWS", "remove the line")
        return
    if endpoint is None:
        fault = "missing, and a rehearsal's host reaches S3 nowhere else"
        settings.refuse(_BUCKET_ENDPOINT, fault, f"set it to {_REHEARSAL_ENDPOINT}")
        return
    parts = urlsplit(endpoint) if is_url(endpoint) else None
    if parts is None or parts.scheme != "http" or parts.path.strip("/") or parts.query:
        settings.refuse(_BUCKET_ENDPOINT, f"{endpoint} is not a plain URL", f"set it to {_REHEARSAL_ENDPOINT}")


class S3Throttle(pulumi.ComponentResource):
    """The whole experiment: network, security group, key pair, bucket with a role, uploader.

    The uploader reaches S3 by its public address, through the internet gateway, which costs nothing inside the region.
    """

    inventory: pulumi.Output[str]
    stack_outputs: Mapping[str, pulumi.Input[object]]

    def __init__(
        self, name: str, checked: Checked[S3ThrottleConfig], opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("tidemark:experiments:S3Throttle", name, None, opts)
        common, config = checked.common, checked.config
        below = pulumi.ResourceOptions(parent=self)

        self.site = declare_site(name, self, common, image_id=checked.image_id, zones=checked.zones, ports={})
        self.bucket = StackBucket(
            f"{name}-bucket",
            {
                "name": bucket_name(common.project, common.stack),
                "tls_only": not common.aws.rehearsal,
                "tags": self.site.tags,
            },
            below,
        )
        self.uploader = Host(
            "uploader",
            self.site.host_args(
                checked.types[config.uploader_type],
                cpu_limit=config.cpu_limit,
                memory_limit_mib=config.memory_limit_mib,
                subnet_id=self.site.network.subnet_id,
                instance_profile=self.bucket.instance_profile.name,
                uplink_mbit_per_s=config.uplink_mbit_per_s,
                after=self.bucket.needed_by_hosts,
            ),
            below,
        )
        row = HostRow(
            name="uploader",
            role="uploader",
            type=config.uploader_type,
            host=self.uploader,
            zone=self.site.network.zone,
        )
        self.inventory = inventory_output(
            common,
            [row],
            cost=checked.cost,
            vpc_id=self.site.network.vpc_id,
            cpu_limit=config.cpu_limit,
            memory_limit_mib=config.memory_limit_mib,
            bucket=self.bucket.bucket.id.apply(
                lambda found: Bucket(found, config.bucket_endpoint, config.uplink_mbit_per_s)
            ),
        )
        self.stack_outputs = {
            "inventory": self.inventory,
            "uploader_address": self.uploader.address,
            "bucket": self.bucket.bucket.id,
            "expires_at": self.uploader.expires_at,
            "usd_per_hour": checked.cost.text,
        }
        self.register_outputs({"inventory": self.inventory})
