"""Instances of moto's account, of an image that is registered for them: moto's own are left out (tests/conftest.py)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_ec2.client import EC2Client


def launch(ec2: EC2Client, count: int = 1, tags: Mapping[str, str] | None = None) -> list[str]:
    """The ids of instances that run."""
    image = ec2.register_image(Name="any", RootDeviceName="/dev/xvda")["ImageId"]
    pairs = [{"Key": key, "Value": value} for key, value in (tags or {}).items()]
    specification = [{"ResourceType": "instance", "Tags": pairs}] if pairs else []
    made = ec2.run_instances(
        ImageId=image,
        MinCount=count,
        MaxCount=count,
        TagSpecifications=specification,  # type: ignore[arg-type]  # the stubs have literals
    )
    return [instance["InstanceId"] for instance in made["Instances"]]
