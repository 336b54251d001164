"""The operating system: Debian 12, the same on AWS and in the rehearsal."""

from __future__ import annotations

import pulumi_aws as aws

from components.aws_settings import REGION
from components.settings import Settings

PARAMETER = "/aws/service/debian/release/12/latest/amd64"
"""Debian publishes its images' ids here, in each region
(https://wiki.debian.org/Cloud/AmazonEC2Image/Bookworm).
"""

DEBIAN_OWNER = "136693071363"
"""The account that publishes them (the same page)."""

ARCHITECTURE = "x86_64"
"""The image's processor architecture."""

LOGIN_USER = "admin"
"""The user that Debian's images create for the key pair."""


def debian_12_image(settings: Settings, region: str) -> str:
    """Returns the id of the newest Debian 12 image in the region; adds an error if it cannot be looked up.

    Not an output, so that a failure comes before anything is created.
    """
    try:
        return aws.ssm.get_parameter(name=PARAMETER).value
    except Exception as error:  # the SDK raises plain Exception for any error of the provider
        reason = str(error) or type(error).__name__
        settings.add_error(
            REGION,
            f"the Debian 12 image could not be looked up in {region} ({reason})",
            f"see whether this answers: aws ssm get-parameter --name {PARAMETER} --region {region}",
        )
        return ""
