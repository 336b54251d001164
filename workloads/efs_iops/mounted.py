"""What is mounted at the mount point: whether it is the inventory's file system, and mounted as it should be.

A mount point is a place: another file system may be mounted there. Which one it is says the kernel, by the device that
was mounted (ADDRESS:DIRECTORY) and the address that its connection goes to. With TLS both are the tunnel's end on the
host; where the tunnel leads says the configuration of the process that listens there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from workloads.efs_iops import mount_options
from workloads.efs_iops.mount_options import NFS_PORT

LOOPBACK = "127.0.0.1"
"""Where efs-utils lets a tunnel listen (src/efs_utils_common/metadata.py, STUNNEL_EFS_CONFIG)."""
KIND = "nfs4"


@dataclass(frozen=True)
class Mounted:
    """A line of /proc/self/mounts, in the kernel's spelling. `tunnel` is the ADDRESS:PORT to which the tunnel leads
    whose end is mounted, None where that is not known.
    """

    device: str
    kind: str
    options: str
    tunnel: str | None

    @classmethod
    def of(cls, fact: Mapping[str, Any]) -> Mounted:
        """What client_mount.sh printed."""
        return cls(str(fact["device"]), str(fact["type"]), str(fact["options"]), fact.get("tunnel") or None)

    @property
    def words(self) -> str:
        """What is mounted, for a person."""
        port = mount_options.value_of(self.options, "port")
        if self.kind == KIND and port is not None and self.device.startswith(f"{LOOPBACK}:"):
            return f"{self.device} port {port}, a tunnel to {self.tunnel or 'an unknown place'}"
        address = mount_options.value_of(self.options, "addr")
        if self.kind == KIND and address is not None and not self.device.startswith(f"{address}:"):
            return f"{self.device} at {address}"
        return self.device if self.kind == KIND else f"{self.device} ({self.kind})"

    def is_root_of(self, address: str, *, tls: bool) -> bool:
        """Whether it is the file system behind the mount target at `address`, from its root on."""
        server = LOOPBACK if tls else address
        shown = mount_options.value_of(self.options, "addr")
        if self.kind != KIND or self.device != f"{server}:/" or shown not in (None, server):
            return False
        return not tls or self.tunnel == f"{address}:{NFS_PORT}"

    def differences(self, *, tls: bool) -> list[str]:
        """The options that stop a run."""
        return mount_options.differences(self.options, mount_options.TLS if tls else mount_options.PLAIN)

    def noted(self, *, tls: bool) -> list[str]:
        """Other options that are not the published ones."""
        return mount_options.noted(self.options, mount_options.TLS if tls else mount_options.PLAIN)
