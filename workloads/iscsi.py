"""Names of the experiments that export volumes by iSCSI, as in scripts/libraries/iscsi.sh."""

from __future__ import annotations

import re

from inventory import Host, Volume
from workloads.errors import WorkloadError

IQN_AUTHORITY = "iqn.2026-11.io.tidemark"
ISCSI_PORT = 3260  # RFC 7143, section 15

# Valid in an IQN, in a volume group's name and in a path.
VOLUME_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def check_volume_id(server: Host, volume: Volume) -> None:
    """Raises WorkloadError for an id that cannot be a part of a target's name."""
    if not VOLUME_ID.fullmatch(volume.id):
        raise WorkloadError(
            f"volume id {volume.id!r} cannot stand in an IQN",
            "use letters, digits, point, hyphen and underscore",
            server.name,
        )


def target_name(server: str, volume: str) -> str:
    """Returns the name of the target that exports a volume; IQNs are lower case (RFC 3722)."""
    return f"{IQN_AUTHORITY}:{server}.{volume.lower()}"


def initiator_name(host: str) -> str:
    """Returns the name by which a host logs in, and which the target's ACL has."""
    return f"{IQN_AUTHORITY}:initiator.{host.lower()}"


def device_unit(path: str) -> str:
    """Returns systemd's unit of a block device, as systemd-escape --path does."""
    return path.removeprefix("/").replace("-", r"\x2d").replace("/", "-") + ".device"
