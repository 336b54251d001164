"""The experiment's constants, each with its reason."""

from __future__ import annotations

from pathlib import Path

EXPERIMENT = "s3-throttle"
HERE = Path(__file__).parent
SCRIPTS = HERE / "scripts"
PLANS = HERE / "plans"

FOLDER = "/opt/tidemark/s3-throttle"
"""All that this project keeps on the uploader."""
ENVIRONMENT = f"{FOLDER}/environment"
"""A Python environment of its own, with the AWS CLI and the throttle in it."""
SOURCE = f"{FOLDER}/source"
"""The files that are synced: a pool of random bytes, and for each cell a folder of links to some of them."""

UNDER_WAY = "/run/tidemark-s3-throttle"
"""What there is of a sync while it runs, and whose run it is."""

PACKAGES = ("python3", "iproute2")
MODULES = ("sch_tbf",)
"""The queueing discipline of the way that caps by `tc`."""

PORT_SECONDS = 10  # S3 answers at once or not at all
