"""Brings the hosts to the state that the experiment needs, in named steps.

Each step looks first and changes only what is not as it should be, so the whole may be stopped anywhere and
run again: what is done is found done. A second run changes nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from workloads.console import si_bytes
from workloads.deployment import versions_on
from workloads.errors import WorkloadError
from workloads.iscsi import device_unit
from workloads.md_raid.context import Context, script
from workloads.md_raid.parsers import ArrayDetail, ArrayStatus, ClientState, Disk
from workloads.md_raid.settings import (
    ARRAY_BYTES_AT_LEAST,
    BENCH_STRIPE,
    CHUNK_KIB,
    LEG_GIB,
    MIRROR_LEGS,
    MODULES,
    NETWORK_UNIT,
    PACKAGES,
    SESSION_SETTINGS,
    STRIPE,
)
from workloads.md_raid.topology import Leg, Mirror
from workloads.steps import run_steps

PACKAGES_TIMEOUT_S = 900
REBUILD_POLL_S = 1.0
# A rebuild that does not move for so long will not end by waiting.
REBUILD_STALL_S = 300


@dataclass(frozen=True)
class Step:
    """One step; `run` returns how many things it changed."""

    name: str
    run: Callable[[Context], int]


def configure(
    context: Context,
    steps: Sequence[Step] | None = None,
    at_boundary: Callable[[str], None] | None = None,
) -> int:
    """Runs the steps; the number of changes. `at_boundary` is called with each step's name when it has
    ended.
    """
    chosen = STEPS if steps is None else steps
    return run_steps(context, [(step.name, partial(step.run, context)) for step in chosen], at_boundary)


def check_packages(context: Context) -> int:
    """Packages and kernel modules, on all hosts at once."""
    arguments = {
        host.name: [*PACKAGES[host.role], "--", *MODULES[host.role]]
        for host in (*context.topology.servers, context.topology.client)
    }
    results = context.hosts.run(script("host_packages"), arguments, idle_timeout_seconds=PACKAGES_TIMEOUT_S)
    for name, result in results.items():
        context.versions |= versions_on(name, result)
    return sum(result.changed for result in results.values())


def name_initiator(context: Context) -> int:
    """The client's initiator name, and what happens at its boot; before the targets, whose ACLs hold the name."""
    names = [*(mirror.name for mirror in context.topology.mirrors), STRIPE]
    return context.on_client("client_initiator", [context.topology.initiator, *names]).changed


def make_volumes(context: Context) -> int:
    """A volume group and a logical volume on each EBS volume."""
    arguments = {
        server.name: [str(LEG_GIB), *(f"{volume.id}={volume.device}" for volume in server.volumes)]
        for server in context.topology.servers
    }
    results = context.hosts.run(script("storage_volumes"), arguments)
    return sum(result.changed for result in results.values())


def export_targets(context: Context) -> int:
    """An iSCSI target for each leg."""
    arguments = {}
    for server in context.topology.servers:
        legs = {leg: f"/dev/tidemark-{leg.volume}/leg" for leg in context.topology.legs_of(server.name)}
        arguments[server.name] = [
            server.private_address,
            context.topology.initiator,
            "",  # the kernel's parameters, as the original had them
            " ".join([NETWORK_UNIT, *map(device_unit, legs.values())]),
            *(f"{leg.iqn}={leg.volume}={path}" for leg, path in legs.items()),
        ]
    results = context.hosts.run(script("iscsi_targets"), arguments)
    return sum(result.changed for result in results.values())


def log_in(context: Context) -> int:
    """A session with every target, and its disk."""
    pairs = [f"{leg.iqn}={leg.address}" for leg in context.topology.legs]
    return context.on_client("client_sessions", [*SESSION_SETTINGS, "--", *pairs]).changed


def assemble_mirrors(context: Context) -> int:
    """Assembles the mirrors that exist; the others are noted as absent."""
    state = context.client_state(fresh=True)
    context.absent = []
    changed = 0
    for mirror in context.topology.mirrors:
        mirror_devices(context, state, mirror)
        refuse_failed(context, state.status.get(mirror.name))
        detail = state.arrays.get(mirror.name)
        if detail is not None and detail.label == f"tidemark:{mirror.name}":
            check_mirror(context, state, mirror, detail)
            continue
        if detail is not None:
            raise WorkloadError(
                f"/dev/{mirror.name} is another array ({detail.label or 'without a name'})",
                f"stop it with mdadm --stop /dev/{mirror.name} if it is not wanted",
                context.topology.client.name,
            )
        disks = [state.disks[leg.iqn] for leg in mirror.legs]
        refuse_held(context, state, disks)
        labelled = [disk for disk in disks if disk.label is not None]
        foreign = [disk for disk in labelled if disk.label != f"tidemark:{mirror.name}"]
        if foreign:
            raise WorkloadError(
                f"{foreign[0].device} ({foreign[0].target}) is a leg of {foreign[0].label}, not of {mirror.name}",
                "the inventory's volumes have another order than when the arrays were made: "
                "restore that order, or give fresh volumes",
                context.topology.client.name,
            )
        if not labelled:
            refuse_unknown(context, disks)
            context.absent.append(mirror)
        elif len(labelled) < len(disks) and all(disk.events == 0 for disk in labelled):
            refuse_unknown(context, disks)
            changed += context.on_client("client_unlabel", [disk.device for disk in labelled]).changed
            context.absent.append(mirror)
        else:
            names = [disk.device for disk in disks if disk in labelled]
            changed += context.on_client("client_assemble", [mirror.name, *names]).changed
    return changed


def refuse_failed(context: Context, status: ArrayStatus | None) -> None:
    """Refuses an array that is there and neither runs nor waits for members: broken, or a word not known here."""
    if status is not None and status.activity not in ("active", "inactive"):
        raise WorkloadError(
            status.condition,
            "see that every storage server is up; then stop what lies on it, and it "
            f"(mdadm --stop /dev/{status.name}), and run configure again, which assembles it from its legs",
            context.topology.client.name,
        )


def refuse_held(context: Context, state: ClientState, disks: Sequence[Disk]) -> None:
    """Refuses legs that something else has taken. One that waits in an inactive array is known by its label."""
    for disk in disks:
        holder = state.status.get(disk.holder or "")
        waiting = holder is not None and holder.activity == "inactive"
        if disk.holder is not None and not (waiting and disk.label is not None):
            words = f" ({holder.condition})" if holder is not None and not holder.active else ""
            raise WorkloadError(
                f"{disk.device} ({disk.target}) is held by {disk.holder}{words}",
                f"take it from there (lsblk {disk.device}; an array is stopped by mdadm --stop /dev/{disk.holder}), "
                "then run configure again",
                context.topology.client.name,
            )


def refuse_unknown(context: Context, disks: Sequence[Disk]) -> None:
    """Refuses legs whose label could not be read: one without a label is fresh, this may be an array's."""
    for disk in disks:
        if disk.label_fault is not None:
            raise WorkloadError(
                f"whether {disk.device} ({disk.target}) has an array's label is not known ({disk.label_fault})",
                "see that every storage server is up, then run configure again",
                context.topology.client.name,
            )


def mirror_devices(context: Context, state: ClientState, mirror: Mirror) -> list[str]:
    """The client's disks under a mirror, in the order of the servers."""
    devices = []
    for leg in mirror.legs:
        disk = state.disk_of(leg.iqn)
        if disk is None:
            raise WorkloadError(
                f"no disk came from {leg.iqn} ({leg.server})",
                f"see that {leg.server} is up, then run configure again",
                context.topology.client.name,
            )
        devices.append(disk.device)
    return devices


def check_mirror(context: Context, state: ClientState, mirror: Mirror, detail: ArrayDetail) -> None:
    """Refuses a running array that is not what the experiment is about."""
    by_device = context.leg_by_device(state)
    held = {by_device.get(leg.device) for leg in detail.legs if leg.device is not None}
    strange = held - set(mirror.legs)
    expected = ("raid10", f"o{MIRROR_LEGS}", MIRROR_LEGS)
    if (detail.level, detail.layout, detail.raid_devices) != expected or strange:
        raise WorkloadError(
            f"/dev/{mirror.name} is {detail.level} {detail.layout} over "
            + ", ".join(leg.device or "nothing" for leg in detail.legs),
            f"it should be raid10 o{MIRROR_LEGS}, a leg from each server: deploy fresh volumes, "
            "or stop it and clear its legs",
            context.topology.client.name,
        )


def check_zeroed(context: Context) -> int:
    """Sees that the legs of mirrors to be created read as zero, on the storage servers."""
    wanted: dict[str, list[str]] = {}
    for mirror in context.absent:
        for leg in mirror.legs:
            wanted.setdefault(leg.server, []).append(leg.volume)
    if wanted:
        context.hosts.run(script("storage_zeroed"), wanted)
    return 0


def create_mirrors(context: Context) -> int:
    """Creates the mirrors that are absent."""
    if not context.absent:
        return 0
    state = context.client_state()
    mirrors = [f"{mirror.name}={','.join(mirror_devices(context, state, mirror))}" for mirror in context.absent]
    changed = context.on_client("client_mirrors", [str(CHUNK_KIB), *mirrors]).changed
    context.absent = []
    return changed


def lost_legs(context: Context, state: ClientState) -> list[tuple[Mirror, Leg, str]]:
    """Legs that are not in their mirror although their disk is there."""
    lost = []
    for mirror in context.topology.mirrors:
        detail = state.arrays.get(mirror.name)
        if detail is None:
            continue
        # A leg that is being rebuilt has a slot and is neither active nor lost.
        held = {leg.device for leg in detail.legs if leg.slot is not None and "removed" not in leg.state}
        held |= {leg.device for leg in detail.legs if leg.state.startswith("spare")}
        held -= {leg.device for leg in detail.legs if "faulty" in leg.state}
        for leg in mirror.legs:
            disk = state.disk_of(leg.iqn)
            if disk is not None and disk.device not in held:
                lost.append((mirror, leg, disk.device))
    return lost


def return_legs(context: Context, on_rebuilt: Callable[[str], None] | None = None) -> int:
    """Gives mirrors back the legs that they lost, and waits until all hold all data."""
    state = context.client_state()
    mirrors = [running(context, state.status, mirror.name) for mirror in context.topology.mirrors]
    if all(mirror.whole for mirror in mirrors):
        return 0
    lost = lost_legs(context, state)
    changed = 0
    if lost:
        devices: dict[str, list[str]] = {}
        for mirror, _, device in lost:
            devices.setdefault(mirror.name, []).append(device)
        pairs = [f"{name}={','.join(those)}" for name, those in devices.items()]
        changed = context.on_client("client_readd", pairs).changed
    wait_rebuilt(context, on_rebuilt)
    return changed


def running(context: Context, status: Mapping[str, ArrayStatus], name: str) -> ArrayStatus:
    """The array of that name, which must be there and active."""
    array = status.get(name)
    refuse_failed(context, array)
    if array is None or not array.active:
        words = f"{name} is not there" if array is None else array.condition
        raise WorkloadError(words, "run configure again", context.topology.client.name)
    return array


def wait_rebuilt(context: Context, on_rebuilt: Callable[[str], None] | None = None) -> None:
    """Waits until every mirror has all its legs, showing how far each is."""
    waiting = {mirror.name for mirror in context.topology.mirrors}
    last_words, last_move = "", time.monotonic()
    with context.console.under_way("rebuild", "mirrors") as progress:
        while True:
            status = context.array_status()
            shown = []
            for name in sorted(waiting):
                array = running(context, status, name)
                if array.whole:
                    waiting.discard(name)
                    if on_rebuilt is not None:
                        on_rebuilt(name)
                else:
                    shown.append(rebuild_words(array))
            if not waiting:
                return
            words = ", ".join(shown)
            progress.update(words)
            if words != last_words:
                last_words, last_move = words, time.monotonic()
            if time.monotonic() - last_move > REBUILD_STALL_S:
                raise WorkloadError(
                    f"the rebuild has not moved for {REBUILD_STALL_S} s: {words}",
                    "see mdadm --detail and dmesg on the client, then run configure again",
                    context.topology.client.name,
                )
            time.sleep(REBUILD_POLL_S)


def rebuild_words(array: ArrayStatus) -> str:
    """How far a mirror's rebuild is: md1 [2/3] 12.5 %."""
    percent = "" if array.recovery_percent is None else f" {array.recovery_percent} %"
    return f"{array.name} [{array.working}/{array.raid_devices}]{percent}"


def stop_remains(context: Context) -> int:
    """Stops what holds the mirrors and is not the stripe: a temporary one, or the stripe with members
    missing.
    """
    status = context.client_state().status
    remains = [name for name in (BENCH_STRIPE, STRIPE) if name in status]
    if STRIPE in remains and status[STRIPE].active:
        remains.remove(STRIPE)
    mirrors = {mirror.name for mirror in context.topology.mirrors}
    for name in remains:
        if strange := sorted(set(status[name].members) - mirrors):
            raise WorkloadError(
                f"/dev/{name} is another array, over {', '.join(strange)}",
                f"stop it with mdadm --stop /dev/{name} if it is not wanted, or give it another name",
                context.topology.client.name,
            )
    return context.on_client("client_stop", remains).changed if remains else 0


def make_stripe(context: Context) -> int:
    """The RAID-0 over the mirrors."""
    changed = stop_remains(context)
    state = context.client_state()
    mirrors = [running(context, state.status, mirror.name).name for mirror in context.topology.mirrors]
    devices = [f"/dev/{name}" for name in mirrors]
    detail = state.arrays.get(STRIPE)
    label = f"tidemark:{STRIPE}"
    if detail is not None:
        members = {leg.device for leg in detail.legs}
        if detail.level != "raid0" or members != set(devices):
            raise WorkloadError(
                f"/dev/{STRIPE} is {detail.level} over {', '.join(sorted(map(str, members)))}",
                f"stop it with mdadm --stop /dev/{STRIPE} if it is not wanted",
                context.topology.client.name,
            )
        return changed
    labelled = [name for name in mirrors if state.array_labels.get(name) == label]
    unknown = [name for name in mirrors if name in state.label_faults]
    if unknown and not labelled:
        raise WorkloadError(
            f"whether {unknown[0]} has {STRIPE}'s label is not known ({state.label_faults[unknown[0]]})",
            "see dmesg on that host, then run configure again",
            context.topology.client.name,
        )
    # Creating writes labels only, but a stripe that exists is never created anew: its data would be given up.
    how = "assemble" if labelled else "create"
    return changed + context.on_client("client_stripe", [STRIPE, str(CHUNK_KIB), how, *devices]).changed


def list_arrays(context: Context) -> int:
    """Lists the arrays for the next boot, and says what there is."""
    state = context.client_state()
    names = [*(mirror.name for mirror in context.topology.mirrors), STRIPE]
    missing = [name for name in names if name not in state.arrays]
    if missing:
        raise WorkloadError(f"{', '.join(missing)} not running", "run configure again", context.topology.client.name)
    size = state.arrays[STRIPE].size_bytes or 0
    expected = ARRAY_BYTES_AT_LEAST * len(context.topology.mirrors) // 5
    if size < expected:
        raise WorkloadError(
            f"/dev/{STRIPE} has {size} bytes, fewer than {expected}",
            "deploy fresh volumes: its mirrors were made smaller",
            context.topology.client.name,
        )
    pairs = [f"{name}={state.arrays[name].uuid}" for name in names]
    changed = context.on_client("client_arrays_file", pairs).changed
    context.console.say(
        "arrays",
        f"{STRIPE} {si_bytes(size)}: RAID-0 over {len(names) - 1} mirrors of {MIRROR_LEGS} legs, "
        f"{len(context.topology.legs)} iSCSI disks",
    )
    return changed


STEPS: tuple[Step, ...] = (
    Step("packages", check_packages),
    Step("initiator", name_initiator),
    Step("volumes", make_volumes),
    Step("targets", export_targets),
    Step("sessions", log_in),
    Step("mirrors assembled", assemble_mirrors),
    Step("legs zeroed", check_zeroed),
    Step("mirrors created", create_mirrors),
    Step("legs returned", return_legs),
    Step("stripe", make_stripe),
    Step("boot", list_arrays),
)
