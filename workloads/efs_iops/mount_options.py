"""The mount options that are requested, and a check of the options that the kernel shows.

The kernel shows them in the fourth column of /proc/self/mounts (as `findmnt --output OPTIONS`). The published line
lacks clientaddr and addr, which belong to one network.

A run stops when a requested option is missing or has another value, or when another option changes what an operation is
or how it is answered (CHANGES). Kernels show more options with each version: those are noted.

A mount point may have another file system mounted. The kernel shows which one it is by the mounted device
(ADDRESS:DIRECTORY) and the address of its connection. With TLS both are the tunnel's end on the host; where the tunnel
leads stands in the configuration of the process that listens there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# The mount helper's options: Amazon EFS user guide, "Recommended NFS mount settings"; efs-utils,
# src/mount_efs/__init__.py, get_nfs_mount_options(). Later helpers add noresvport; the published line has none.
HELPER_OPTIONS = "nfsvers=4.1,rsize=1048576,wsize=1048576,hard,timeo=600,retrans=2"
# The published line of the original experiment, 2018.
READ_BACK = (
    "rw,relatime,vers=4.1,rsize=1048576,wsize=1048576,namlen=255,hard,proto=tcp,timeo=600,retrans=2,sec=sys,"
    "local_lock=none"
)
NFS_PORT = "2049"
LOOPBACK = "127.0.0.1"
"""Where efs-utils lets a tunnel listen (src/efs_utils_common/metadata.py, STUNNEL_EFS_CONFIG)."""
KIND = "nfs4"

# Options that change what the client asks the server, when, over what, or what it does when no answer comes: nfs(5);
# for sync mount(8); for fatal_neterrors (Linux 6.15), noalignwrite and write fs/nfs/fs_context.c. With the default
# value, as nfs_show_mount_options (fs/nfs/super.c) shows it; None: it is shown only where it is not the default.
# Not among them, by nfs(5): atime, diratime, relatime and their opposites ("no effect on NFS mounts"), clientaddr and
# migration (NFS 4.0 alone), namlen, rdirplus (reading of directories), acl (NFS 2 and 3), bg and retry (mount.nfs).
CHANGES: dict[str, str | None] = {
    "ro": None,
    "sync": None,
    "soft": None,
    "softerr": None,
    "softreval": None,
    "fatal_neterrors": "none",
    "noac": None,
    "acregmin": "3",
    "acregmax": "60",
    "acdirmin": "30",
    "acdirmax": "60",
    "nocto": None,
    "lookupcache": "all",
    "nosharecache": None,
    "fsc": None,
    "write": "lazy",
    "noalignwrite": None,
    "nolock": None,
    "local_lock": "none",
    "proto": "tcp",
    "port": NFS_PORT,
    "nconnect": "1",
    "max_connect": "1",
    "trunkdiscovery": None,
    "noresvport": None,
    "sec": "sys",
    "xprtsec": "none",
}

# Options of which a mount has one (nfs(5), mount(8)).
_ALTERNATIVES = (
    frozenset({"rw", "ro"}),
    frozenset({"relatime", "noatime"}),
    frozenset({"hard", "soft", "softerr"}),
    frozenset({"resvport", "noresvport"}),
)
# A security context may have commas in it, and quotation marks around it then (selinux(8), mount(8) "context").
_OPTION = re.compile(r'(?:"[^"]*"|[^",]|")+')


EXPECTED = HELPER_OPTIONS.replace("nfsvers=", "vers=")
"""The options that a mount must show."""
# `mount -t efs -o tls`: efs-utils mounts a tunnel's end on the host, by its port; its noresvport lets a broken
# connection come back. Mounted checks which tunnel it is.
OF_TUNNELS = frozenset({"port", "noresvport"})
"""Those that may have any value with TLS."""


def differences(options_read: str, *, tls: bool = False) -> list[str]:
    """Returns what of `options_read` stops a run, one option each, sorted."""
    asked, read = _options(EXPECTED), _options(options_read)
    expected = _options(READ_BACK) | asked
    found: dict[str, str] = {}
    for name in asked.keys() - read.keys():
        if _rival(name, read) is None:
            found[name] = f"{_word(name, asked[name])} is missing"
    for name in read.keys() & (asked.keys() | CHANGES.keys() - (OF_TUNNELS if tls else set())):
        value = read[name]
        if name in expected:
            if value != expected[name]:
                found[name] = f"{name} is {_value(value)}, expected {_value(expected[name])}"
        elif value != (CHANGES[name] or ""):
            rival = _rival(name, expected)
            words = f"is there, expected {rival}" if rival else "is there and was not asked for"
            found[name] = f"{_word(name, value)} {words}"
    return [found[name] for name in sorted(found)]


def noted(options_read: str, *, tls: bool = False) -> list[str]:
    """Returns the other differences from the published line, one option each, sorted: they change no operation."""
    read, published = _options(options_read), _options(READ_BACK)
    own = {"addr", "clientaddr", *(OF_TUNNELS if tls else ()), *_options(EXPECTED)}
    stopping = {name for name in read if name in CHANGES and read[name] != (CHANGES[name] or "")}
    missing = published.keys() - read.keys() - own
    others = read.keys() - own - stopping
    found = [_word(name, read[name]) for name in others if name not in published or read[name] != published[name]]
    return sorted([*found, *(f"{name} not shown" for name in missing)])


@dataclass(frozen=True)
class Mounted:
    """A line of /proc/self/mounts. `tunnel` is the ADDRESS:PORT to which the mounted tunnel leads, None if unknown."""

    device: str
    kind: str
    options: str
    tunnel: str | None

    @classmethod
    def of(cls, fact: Mapping[str, Any]) -> Mounted:
        """Reads a fact of client_mount.sh."""
        return cls(str(fact["device"]), str(fact["type"]), str(fact["options"]), fact.get("tunnel") or None)

    @property
    def words(self) -> str:
        """Describes what is mounted, for a person."""
        options = _options(self.options)
        port, address = options.get("port"), options.get("addr")
        if self.kind == KIND and port is not None and self.device.startswith(f"{LOOPBACK}:"):
            return f"{self.device} port {port}, a tunnel to {self.tunnel or 'an unknown place'}"
        if self.kind == KIND and address is not None and not self.device.startswith(f"{address}:"):
            return f"{self.device} at {address}"
        return self.device if self.kind == KIND else f"{self.device} ({self.kind})"

    def is_root_of(self, address: str, *, tls: bool) -> bool:
        """Returns whether it is the root of the file system behind the mount target at `address`."""
        server = LOOPBACK if tls else address
        shown = _options(self.options).get("addr")
        if self.kind != KIND or self.device != f"{server}:/" or shown not in (None, server):
            return False
        return not tls or self.tunnel == f"{address}:{NFS_PORT}"


def _options(text: str) -> dict[str, str | None]:
    """Returns each option's value, None for one without a value."""
    found: dict[str, str | None] = {}
    for word in _OPTION.findall(text.strip()):
        name, equals, value = word.partition("=")
        found[name] = value if equals else None
    return found


def _rival(name: str, others: dict[str, str | None]) -> str | None:
    """Returns the option among `others` that `name` excludes."""
    for group in _ALTERNATIVES:
        if name in group:
            return next((other for other in sorted(group - {name}) if other in others), None)
    return None


def _word(name: str, value: str | None) -> str:
    return name if value is None else f"{name}={value}"


def _value(value: str | None) -> str:
    return "a word without a value" if value is None else value
