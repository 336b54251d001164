"""Reads what the tools print. Nothing here talks to a host: text in, dataclasses out."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from workloads.logs import sections


class ParseError(ValueError):
    """A tool printed something that is not understood."""


@dataclass(frozen=True)
class ArrayLeg:
    """A member of an array as mdadm lists it; `slot` is None for a faulty or spare one, `device` for a
    gap.
    """

    slot: int | None
    device: str | None
    state: str


@dataclass(frozen=True)
class ArrayDetail:
    """`mdadm --detail`."""

    name: str
    level: str
    layout: str | None
    raid_devices: int
    working: int
    state: str
    size_bytes: int | None
    chunk_kib: int | None
    bitmap: bool
    uuid: str | None
    label: str | None
    legs: tuple[ArrayLeg, ...]

    @property
    def active(self) -> tuple[ArrayLeg, ...]:
        """The legs that hold the array's data now."""
        return tuple(leg for leg in self.legs if leg.state.startswith("active"))


@dataclass(frozen=True)
class ArrayStatus:
    """One array of /proc/mdstat; `recovery_percent` is None when nothing is being rebuilt or checked."""

    name: str
    active: bool
    level: str | None
    raid_devices: int | None
    working: int | None
    recovery_percent: float | None

    @property
    def whole(self) -> bool:
        """Whether every leg holds all data."""
        complete = self.working is not None and self.working == self.raid_devices
        return complete and self.recovery_percent is None


@dataclass(frozen=True)
class Session:
    """One session of `iscsiadm -m session -P 3`."""

    target: str
    portal: str
    state: str
    disks: tuple[str, ...]


@dataclass(frozen=True)
class Disk:
    """A disk of the client, by the session that it came through, and the md label on it."""

    device: str
    target: str
    session: str
    state: str
    size_bytes: int
    label: str | None
    events: int | None


def assignments(text: str) -> dict[str, str]:
    """KEY=value lines, as of `mdadm --examine --export`."""
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)


_DETAIL_FIELD = re.compile(r"^\s*([A-Z][A-Za-z -]+?) : (.*?)\s*$")
_DETAIL_LEG = re.compile(r"^\s+(\d+|-)\s+(\d+)\s+(\d+)\s+(\d+|-)\s+(\S.*?)\s*$")
_LAYOUTS = {"near": "n", "offset": "o", "far": "f"}


def array_detail(text: str) -> ArrayDetail:
    """Reads `mdadm --detail /dev/mdN`."""
    head = re.match(r"\s*/dev/(\S+):\s*$", text.splitlines()[0] if text.strip() else "")
    if head is None:
        raise ParseError(f"not the output of mdadm --detail: {text[:60]!r}")
    fields: dict[str, str] = {}
    legs: list[ArrayLeg] = []
    in_table = False
    for line in text.splitlines()[1:]:
        if line.split()[:2] == ["Number", "Major"]:
            in_table = True
        elif in_table and (match := _DETAIL_LEG.match(line)):
            _, _, _, slot, rest = match.groups()
            words = rest.split()
            device = words.pop() if words[-1].startswith("/dev/") else None
            # "set-A" is where the leg's copies lie; it says nothing of its health.
            state = " ".join(word for word in words if not word.startswith("set-"))
            legs.append(ArrayLeg(None if slot == "-" else int(slot), device, state))
        elif not in_table and (match := _DETAIL_FIELD.match(line)):
            fields[match.group(1)] = match.group(2)
    try:
        level = fields["Raid Level"]
        layout = None
        if "Layout" in fields and (words := re.match(r"(near|offset|far)=(\d+)", fields["Layout"])):
            layout = _LAYOUTS[words.group(1)] + words.group(2)
        size = re.match(r"(\d+)", fields.get("Array Size", ""))
        chunk = re.match(r"(\d+)K", fields.get("Chunk Size", ""))
        active = sum(leg.state.startswith("active") for leg in legs)
        label = fields.get("Name")
        return ArrayDetail(
            name=head.group(1),
            level=level,
            layout=layout,
            raid_devices=int(fields["Raid Devices"]),
            # "Working Devices" counts spares that are still being rebuilt; legs that hold all data are
            # "active".
            working=active,
            state=fields.get("State", "unknown").rstrip(" ,"),
            size_bytes=int(size.group(1)) * 1024 if size else None,
            chunk_kib=int(chunk.group(1)) if chunk else None,
            bitmap="Intent Bitmap" in fields,
            uuid=fields.get("UUID"),
            label=label.split(" ")[0] if label else None,
            legs=tuple(legs),
        )
    except KeyError as error:
        raise ParseError(f"mdadm --detail of {head.group(1)} lacks {error}") from error


def mdstat(text: str) -> dict[str, ArrayStatus]:
    """Reads /proc/mdstat."""
    found: dict[str, ArrayStatus] = {}
    name = ""
    for line in text.splitlines():
        if match := re.match(r"(md\S+) : (active|inactive)(?: \([a-z-]+\))?\s*(.*)", line):
            name, activity, rest = match.groups()
            words = rest.split()
            level = words[0] if words and activity == "active" and "[" not in words[0] else None
            found[name] = ArrayStatus(name, activity == "active", level, None, None, None)
        elif name and (match := re.search(r"\[(\d+)/(\d+)\] \[[U_]+\]", line)):
            old = found[name]
            total, working = (int(number) for number in match.groups())
            found[name] = ArrayStatus(name, old.active, old.level, total, working, None)
        elif name and (match := re.search(r"(?:recovery|resync|check|repair|reshape) = *([\d.]+)%", line)):
            old = found[name]
            found[name] = ArrayStatus(name, old.active, old.level, old.raid_devices, old.working, float(match.group(1)))
        elif name and re.search(r"(?:recovery|resync|check)=(?:DELAYED|PENDING)", line):
            old = found[name]
            found[name] = ArrayStatus(name, old.active, old.level, old.raid_devices, old.working, 0.0)
        elif not line.strip():
            name = ""
    return found


def iscsi_sessions(text: str) -> list[Session]:
    """Reads `iscsiadm -m session -P 3`."""
    return list(_sessions(text))


def _sessions(text: str) -> Iterator[Session]:
    target = portal = state = ""
    disks: list[str] = []
    for line in text.splitlines():
        if match := re.match(r"Target: (\S+)", line):
            if target and portal:
                yield Session(target, portal, state, tuple(disks))
            target, portal, state, disks = match.group(1), "", "", []
        elif match := re.match(r"\s*Current Portal: ([^,\s]+)", line):
            if portal:
                yield Session(target, portal, state, tuple(disks))
                disks = []
            portal = match.group(1)
        elif match := re.match(r"\s*iSCSI Session State: (.+?)\s*$", line):
            state = match.group(1)
        elif match := re.match(r"\s*Attached scsi disk (\S+)", line):
            disks.append(f"/dev/{match.group(1)}")
    if target and portal:
        yield Session(target, portal, state, tuple(disks))


def block_devices(text: str) -> dict[str, dict[str, Any]]:
    """Reads `lsblk --json`: every device by name, children included, with the names of those below it."""
    try:
        document = json.loads(text)
        top = document["blockdevices"]
    except (ValueError, KeyError, TypeError) as error:
        raise ParseError(f"not the output of lsblk --json: {text[:60]!r}") from error
    found: dict[str, dict[str, Any]] = {}

    def visit(device: dict[str, Any], parent: str | None) -> None:
        entry = found.setdefault(
            device["name"],
            {key: value for key, value in device.items() if key != "children"} | {"parents": []},
        )
        if parent is not None and parent not in entry["parents"]:
            entry["parents"].append(parent)
        for child in device.get("children", ()):
            visit(child, device["name"])

    for device in top:
        visit(device, None)
    return found


def ping_outcome(text: str) -> str:
    """What `ping -M do -c 1` met: "passed", "too-long" (refused by the MTU) or "lost".

    The host itself refuses with EMSGSIZE, whose words ping or the C library writes ("Message too long" before iputils
    20200821 and by sendmsg), a router on the way with ICMP ("Frag needed", inetutils "Fragmentation needed"; ICMPv6
    "Packet too big").
    """
    if re.search(r"message too long|frag(mentation)? needed|packet too big", text, re.IGNORECASE):
        return "too-long"
    received = re.search(r"(\d+) packets? transmitted, (\d+) (?:packets? )?received", text)
    if received is None:
        raise ParseError(f"not the output of ping: {text[:60]!r}")
    return "passed" if int(received.group(2)) > 0 else "lost"


@dataclass(frozen=True)
class ClientState:
    """What client_state.sh shows."""

    status: dict[str, ArrayStatus]
    arrays: dict[str, ArrayDetail]
    array_labels: dict[str, str | None]
    disks: dict[str, Disk]

    def disk_of(self, target: str) -> Disk | None:
        """The disk that came through the session with `target`."""
        return self.disks.get(target)


def client_state(text: str) -> ClientState:
    """Reads the output of client_state.sh: disks by target, arrays by name."""
    parts = sections(text)
    if "end" not in parts:
        raise ParseError("client_state.sh was cut short")
    status = mdstat(parts.get("mdstat", ""))
    arrays: dict[str, ArrayDetail] = {}
    labels: dict[str, str | None] = {}
    disks: dict[str, Disk] = {}
    for name, part in parts.items():
        kind, _, subject = name.partition(" ")
        if kind == "detail" and status.get(subject) and status[subject].active:
            arrays[subject] = array_detail(part)
        elif kind == "label":
            labels[subject] = assignments(part).get("MD_NAME")
        elif kind == "disk":
            values = assignments(part)
            events = values.get("MD_EVENTS")
            disks[values["target"]] = Disk(
                device=f"/dev/{subject}",
                target=values["target"],
                session=values["session"],
                state=values["state"],
                size_bytes=int(values["size_bytes"]),
                label=values.get("MD_NAME"),
                events=int(events) if events else None,
            )
    return ClientState(status, arrays, labels, disks)
