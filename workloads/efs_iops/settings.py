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

NFS_PORT = 2049  # RFC 8881, section 2.9.3
# A mount target answers at once or not at all; one that was made a moment ago takes up to 90 s to get its address into
# the zone's DNS (EFS user guide, "Creating mount targets"), which is not used here.
PORT_SECONDS = 30
MOUNT_SECONDS = 60
