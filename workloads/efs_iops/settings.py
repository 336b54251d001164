"""The experiment's constants, each with its reason."""

from __future__ import annotations

from pathlib import Path

EXPERIMENT = "efs-iops"
SCRIPTS = Path(__file__).parent / "scripts"
PLANS = Path(__file__).parent / "plans"

MOUNT_POINT = "/mnt/efs"
FOLDER = f"{MOUNT_POINT}/tidemark"
"""All that this project writes on the file system; each client has a folder of its name in it."""

PACKAGES = ("nfs-common",)
MODULES = ("nfsv4",)

# A mount target that is available answers at once or not at all; in a rehearsal its server takes three seconds to boot.
PORT_SECONDS = 15
MOUNT_SECONDS = 60
