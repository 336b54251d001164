"""Parses the output of mdadm, /proc/mdstat, ping and client_state.sh. Nothing here talks to a host."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from workloads.connectors.script import sections


class ParseError(ValueError):
    """The output of a tool has an unknown form."""


@dataclass(frozen=True)
class ArrayLeg:
    """A member of an array as mdadm lists it; `slot` is None for a faulty or spare one, `device` for a gap."""

    slot: int | None
    device: str | None
    state: str

    @property
    def is_held(self) -> bool:
        """Whether the array has the leg: one that is being rebuilt has a slot, and is neither active nor lost."""
        in_slot = self.slot is not None and "removed" not in self.state
        return (in_slot or self.state.startswith("spare")) and "faulty" not in self.state


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
    uuid: str | None
    label: str | None
    legs: tuple[ArrayLeg, ...]


@dataclass(frozen=True)
class ArrayStatus:
    """One array of /proc/mdstat. `activity` is the kernel's word: "active", "inactive", since Linux 6.12 "broken"
    (failed, and still present), or an unknown one. `members` are device names. `recovery_percent` is None when nothing
    is being rebuilt or checked.
    """

    name: str
    activity: str
    members: tuple[str, ...]
    level: str | None
    raid_devices: int | None
    working: int | None
    recovery_percent: float | None

    @property
    def active(self) -> bool:
        """Whether the array can be used."""
        return self.activity == "active"

    @property
    def whole(self) -> bool:
        """Whether every leg holds all data."""
        complete = self.working is not None and self.working == self.raid_devices
        return self.active and complete and self.recovery_percent is None

    @property
    def condition(self) -> str:
        """Describes an array that is not active."""
        legs = "" if self.working is None else f": {self.working} of {self.raid_devices} legs"
        return f"{self.name} is {self.activity}{legs}"


@dataclass(frozen=True)
class Disk:
    """A disk of the client: its iSCSI session and its md label. `holder` is the array or device that uses it, if any.
    `label_fault` is the reason when its label could not be read.
    """

    device: str
    target: str
    session: str
    label: str | None
    events: int | None
    holder: str | None = None
    label_fault: str | None = None


def assignments(text: str) -> dict[str, str]:
    """Parses KEY=value lines, such as those of `mdadm --examine --export`."""
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)


_DETAIL_FIELD = re.compile(r"^\s*([A-Z][A-Za-z -]+?) : (.*?)\s*$")
_DETAIL_LEG = re.compile(r"^\s+(\d+|-)\s+(\d+)\s+(\d+)\s+(\d+|-)\s+(\S.*?)\s*$")
_LAYOUTS = {"near": "n", "offset": "o", "far": "f"}


def array_detail(text: str) -> ArrayDetail:
    """Parses `mdadm --detail /dev/mdN`."""
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
            # "set-A" names the leg's set of copies, and says nothing of its health.
            state = " ".join(word for word in words if not word.startswith("set-"))
            legs.append(ArrayLeg(None if slot == "-" else int(slot), device, state))
        elif not in_table and (match := _DETAIL_FIELD.match(line)):
            fields[match.group(1)] = match.group(2)
    # Such as: Layout : offset=3; Array Size : 15719424 (14.99 GiB 16.10 GB); Chunk Size : 512K
    layout = re.match(r"(near|offset|far)=(\d+)", fields.get("Layout", ""))
    size_kib, chunk_kib = (re.match(r"\d+", fields.get(name, "")) for name in ("Array Size", "Chunk Size"))
    try:
        return ArrayDetail(
            name=head.group(1),
            level=fields["Raid Level"],
            layout=_LAYOUTS[layout[1]] + layout[2] if layout else None,
            raid_devices=int(fields["Raid Devices"]),
            # "Working Devices" counts spares that are still being rebuilt; legs that hold all data are
            # "active".
            working=sum(leg.state.startswith("active") for leg in legs),
            state=fields.get("State", "unknown").rstrip(" ,"),
            size_bytes=int(size_kib[0]) * 1024 if size_kib else None,
            chunk_kib=int(chunk_kib[0]) if chunk_kib else None,
            uuid=fields.get("UUID"),
            label=fields.get("Name", "").split(" ")[0] or None,
            legs=tuple(legs),
        )
    except KeyError as error:
        raise ParseError(f"mdadm --detail of {head.group(1)} lacks {error}") from error


_MDSTAT_HEAD = re.compile(r"Personalities :")
_MDSTAT_ARRAY = re.compile(r"(\S+) : (\S+)((?: \([a-z-]+\))*) *(.*)")
_MDSTAT_MEMBER = re.compile(r"(\S+)\[\d+\]")
_MDSTAT_LEGS = re.compile(r"\[(\d+)/(\d+)\] \[[U_]*\]")
_MDSTAT_SYNC = re.compile(r"(?:recovery|resync|check|repair|reshape) = *([\d.]+)%")
_MDSTAT_SYNC_WAITS = re.compile(r"(?:recovery|resync|check|repair|reshape)=[A-Z]+")


def mdstat(text: str) -> dict[str, ArrayStatus]:
    """Parses /proc/mdstat (md_seq_show in the kernel's drivers/md/md.c).

    Raises ParseError for any other text, and for a line that might be an array: an array left out would count as
    absent.
    """
    lines = text.splitlines()
    if not lines or not _MDSTAT_HEAD.match(lines[0]):
        raise ParseError(f"not /proc/mdstat: {text[:60]!r}")
    found: dict[str, ArrayStatus] = {}
    name = ""
    for line in lines[1:]:
        if not line:
            name = ""  # a line of spaces after it still belongs to the same array
            continue
        if not line[0].isspace():
            if line.startswith("unused devices:"):
                continue
            match = _MDSTAT_ARRAY.fullmatch(line.rstrip())
            if match is None:
                raise ParseError(f"a line of /proc/mdstat is not understood: {line[:60]!r}")
            name, activity, _, rest = match.groups()
            words = rest.split()
            level = words[0] if words and activity != "inactive" and "[" not in words[0] else None
            members = tuple(_MDSTAT_MEMBER.findall(rest))
            found[name] = ArrayStatus(name, activity, members, level, None, None, None)
        if not name and line.strip():
            raise ParseError(f"a line of /proc/mdstat is not understood: {line[:60]!r}")
        # An array without members has all of it in its first line.
        if match := _MDSTAT_LEGS.search(line):
            found[name] = replace(found[name], raid_devices=int(match.group(1)), working=int(match.group(2)))
        if match := _MDSTAT_SYNC.search(line):
            found[name] = replace(found[name], recovery_percent=float(match.group(1)))
        elif _MDSTAT_SYNC_WAITS.search(line):
            found[name] = replace(found[name], recovery_percent=0.0)
    return found


def ping_outcome(text: str) -> str:
    """Returns the outcome of `ping -M do -c 1`: "passed", "too-long" (for the MTU) or "lost".

    The host itself refuses with EMSGSIZE, in ping's or the C library's words ("Message too long" before iputils
    20200821 and by sendmsg), a router with ICMP ("Frag needed", inetutils "Fragmentation needed"; ICMPv6 "Packet too
    big").
    """
    if re.search(r"message too long|frag(mentation)? needed|packet too big", text, re.IGNORECASE):
        return "too-long"
    received = re.search(r"(\d+) packets? transmitted, (\d+) (?:packets? )?received", text)
    if received is None:
        raise ParseError(f"not the output of ping: {text[:60]!r}")
    return "passed" if int(received.group(2)) > 0 else "lost"


@dataclass(frozen=True)
class ClientState:
    """The client's state by client_state.sh. `array_labels` are the labels on arrays, which belong to an array over
    them; `label_faults` are the reasons when a label could not be read.
    """

    status: dict[str, ArrayStatus]
    arrays: dict[str, ArrayDetail]
    array_labels: dict[str, str | None]
    label_faults: dict[str, str]
    disks: dict[str, Disk]


def client_state(text: str) -> ClientState:
    """Parses the output of client_state.sh: disks by target, arrays by name."""
    parts = sections(text)
    if "end" not in parts:
        raise ParseError("client_state.sh was cut short")
    status = mdstat(parts.get("mdstat", ""))
    arrays: dict[str, ArrayDetail] = {}
    labels: dict[str, str | None] = {}
    label_faults: dict[str, str] = {}
    disks: dict[str, Disk] = {}
    for name, part in parts.items():
        kind, _, subject = name.partition(" ")
        if kind == "detail" and status.get(subject) and status[subject].active:
            arrays[subject] = array_detail(part)
        elif kind == "label":
            values = assignments(part)
            labels[subject] = values.get("MD_NAME")
            if "label_fault" in values:
                label_faults[subject] = values["label_fault"]
        elif kind == "disk":
            values = assignments(part)
            events = values.get("MD_EVENTS")
            disks[values["target"]] = Disk(
                device=f"/dev/{subject}",
                target=values["target"],
                session=values["session"],
                label=values.get("MD_NAME"),
                events=int(events) if events else None,
                holder=values.get("holder"),
                label_fault=values.get("label_fault"),
            )
    return ClientState(status, arrays, labels, label_faults, disks)
