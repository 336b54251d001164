"""The mount options that are asked for, and whether the kernel shows those that must be read back.

The kernel's word is the fourth column of /proc/self/mounts (`findmnt --output OPTIONS` shows the same). The published
one has no clientaddr and addr, which are of one network.
"""

from __future__ import annotations

from dataclasses import dataclass

# What the mount helper passes on: Amazon EFS user guide, "Recommended NFS mount settings"; efs-utils,
# src/mount_efs/__init__.py, get_nfs_mount_options(). Later helpers add noresvport; the published line has none.
HELPER_OPTIONS = "nfsvers=4.1,rsize=1048576,wsize=1048576,hard,timeo=600,retrans=2"
# The original experiment, 2018.
READ_BACK = (
    "rw,relatime,vers=4.1,rsize=1048576,wsize=1048576,namlen=255,hard,proto=tcp,timeo=600,retrans=2,sec=sys,"
    "local_lock=none"
)
LOOPBACK = "127.0.0.1"

# Options of which a mount has one (nfs(5), mount(8)).
_ALTERNATIVES = (
    frozenset({"rw", "ro"}),
    frozenset({"relatime", "noatime"}),
    frozenset({"hard", "soft", "softerr"}),
    frozenset({"resvport", "noresvport"}),
)


@dataclass(frozen=True)
class Expected:
    """What a mount must show: `options` as they are; `free` with any value or not at all."""

    options: str
    free: frozenset[str]


PLAIN = Expected(READ_BACK, frozenset({"clientaddr", "addr", "port"}))
# `mount -t efs -o tls`: efs-utils mounts a tunnel's end on this host, by its port; its noresvport lets a broken
# connection come back.
TLS = Expected(f"{READ_BACK},addr={LOOPBACK}", frozenset({"clientaddr", "port", "noresvport"}))


def differences(options_read: str, expected: Expected = PLAIN) -> list[str]:
    """How `options_read` differs from what is expected, an option a line, sorted; empty when it does not."""
    wanted, read = _options(expected.options), _options(options_read)
    found: dict[str, str] = {}
    for name in sorted(wanted.keys() | read.keys()):
        if name in expected.free or (name in wanted and name in read and wanted[name] == read[name]):
            continue
        rival = _rival(name, wanted if name in read else read)
        if name in wanted and name in read:
            found[name] = f"{name} is {_value(read[name])}, expected {_value(wanted[name])}"
        elif name in read:
            shown = _word(name, read[name])
            found[name] = f"{shown} is there, expected {rival}" if rival else f"{shown} is there and was not asked for"
        elif rival is None:
            found[name] = f"{_word(name, wanted[name])} is missing"
    return [found[name] for name in sorted(found)]


def _options(text: str) -> dict[str, str | None]:
    """Each option's value, None for a mere word."""
    found: dict[str, str | None] = {}
    for word in text.strip().split(","):
        name, equals, value = word.partition("=")
        if name:
            found[name] = value if equals else None
    return found


def _rival(name: str, others: dict[str, str | None]) -> str | None:
    """The option among `others` that `name` excludes."""
    for group in _ALTERNATIVES:
        if name in group:
            return next((other for other in sorted(group - {name}) if other in others), None)
    return None


def _word(name: str, value: str | None) -> str:
    return name if value is None else f"{name}={value}"


def _value(value: str | None) -> str:
    return "a word without a value" if value is None else value
