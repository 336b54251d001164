"""Assembles, creates and repairs the client's arrays: the mirrors, and the stripe over them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from workloads.errors import WorkloadError
from workloads.md_raid.context import Context, script
from workloads.md_raid.parsers import ArrayDetail, ArrayStatus, ClientState, Disk
from workloads.md_raid.settings import CHUNK_KIB, MIRROR_LAYOUT
from workloads.md_raid.stripe import active_array, refuse_failed, stop_leftovers
from workloads.md_raid.topology import Leg, Mirror

REBUILD_POLL_S = 1.0
# A rebuild without progress for this long is stuck.
REBUILD_STALL_S = 300


def assemble_mirrors(context: Context) -> int:
    """Assembles the mirrors that exist, and notes the others as absent."""
    context.client_state(fresh=True)
    changed = stop_leftovers(context)
    state = context.client_state()
    context.absent = []
    assembled = []
    for mirror in context.topology.mirrors:
        context.devices_of(mirror.legs)
        refuse_failed(context, state.status.get(mirror.name))
        detail = state.arrays.get(mirror.name)
        if detail is not None and detail.label == f"tidemark:{mirror.name}":
            check_mirror(context, state, mirror, detail)
            continue
        if detail is not None:
            raise WorkloadError(
                f"/dev/{mirror.name} is another array ({detail.label or 'without a name'})",
                f"stop it with mdadm --stop /dev/{mirror.name} if it is not wanted",
                context.client_name,
            )
        disks = [state.disks[leg.iqn] for leg in mirror.legs]
        refuse_taken(context, state, disks)
        labelled = [disk for disk in disks if disk.label is not None]
        foreign = [disk for disk in labelled if disk.label != f"tidemark:{mirror.name}"]
        if foreign:
            raise WorkloadError(
                f"{foreign[0].device} ({foreign[0].target}) is a leg of {foreign[0].label}, not of {mirror.name}",
                "the inventory's volumes have another order than when the arrays were made: "
                "restore that order, or give fresh volumes",
                context.client_name,
            )
        if not labelled:
            refuse_unreadable(context, disks)
            context.absent.append(mirror)
        elif len(labelled) < len(disks) and all(disk.events == 0 for disk in labelled):
            refuse_unreadable(context, disks)
            changed += context.on_client("client_unlabel", [disk.device for disk in labelled]).changed
            context.absent.append(mirror)
        else:
            assembled.append(f"{mirror.name}={','.join(disk.device for disk in labelled)}")
    if assembled:
        changed += context.on_client("client_assemble", assembled).changed
    return changed


def refuse_taken(context: Context, state: ClientState, disks: Sequence[Disk]) -> None:
    """Refuses legs that another device holds; a leg that waits in an inactive array is recognised by its label."""
    for disk in disks:
        holder = state.status.get(disk.holder or "")
        waiting = holder is not None and holder.activity == "inactive"
        if disk.holder is not None and not (waiting and disk.label is not None):
            words = f" ({holder.condition})" if holder is not None and not holder.active else ""
            raise WorkloadError(
                f"{disk.device} ({disk.target}) is held by {disk.holder}{words}",
                f"take it from there (lsblk {disk.device}; an array is stopped by mdadm --stop /dev/{disk.holder}), "
                "then run configure again",
                context.client_name,
            )


def refuse_unreadable(context: Context, disks: Sequence[Disk]) -> None:
    """Refuses legs whose label could not be read: they may belong to an array."""
    for disk in disks:
        if disk.label_fault is not None:
            raise WorkloadError(
                f"whether {disk.device} ({disk.target}) has an array's label is not known ({disk.label_fault})",
                "see that every storage server is up, then run configure again",
                context.client_name,
            )


def check_mirror(context: Context, state: ClientState, mirror: Mirror, detail: ArrayDetail) -> None:
    """Refuses a running array that is not a mirror of this experiment."""
    by_device = context.leg_by_device(state)
    held = {by_device.get(leg.device) for leg in detail.legs if leg.device is not None}
    strange = held - set(mirror.legs)
    layout = f"{MIRROR_LAYOUT}{len(mirror.legs)}"
    expected = ("raid10", layout, len(mirror.legs))
    if (detail.level, detail.layout, detail.raid_devices) != expected or strange:
        raise WorkloadError(
            f"/dev/{mirror.name} is {detail.level} {detail.layout} over "
            + ", ".join(leg.device or "nothing" for leg in detail.legs),
            f"it should be raid10 {layout}, a leg from each server: deploy fresh volumes, "
            "or stop it and clear its legs",
            context.client_name,
        )


def check_zeroed(context: Context) -> int:
    """Checks on the storage servers that the legs of absent mirrors read as zero."""
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
    mirrors = [f"{mirror.name}={','.join(context.devices_of(mirror.legs))}" for mirror in context.absent]
    changed = context.on_client("client_mirrors", [str(CHUNK_KIB), *mirrors]).changed
    context.absent = []
    return changed


def lost_legs(context: Context, state: ClientState) -> list[tuple[Mirror, Leg, str]]:
    """Returns the legs that are not in their mirror although their disk is there."""
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
            disk = state.disks.get(leg.iqn)
            if disk is not None and disk.device not in held:
                lost.append((mirror, leg, disk.device))
    return lost


def return_legs(context: Context, on_rebuilt: Callable[[str], None] | None = None) -> int:
    """Adds lost legs to their mirrors again, and waits until every leg holds all data."""
    state = context.client_state()
    mirrors = [active_array(context, state.status, mirror.name) for mirror in context.topology.mirrors]
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


def wait_rebuilt(context: Context, on_rebuilt: Callable[[str], None] | None = None) -> None:
    """Waits until every mirror has all its legs, and shows how far each is."""
    waiting = {mirror.name for mirror in context.topology.mirrors}
    last_words, last_move = "", time.monotonic()
    with context.console.under_way("rebuild", "mirrors") as progress:
        while True:
            status = context.array_status()
            shown = []
            for name in sorted(waiting):
                array = active_array(context, status, name)
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
                    context.client_name,
                )
            time.sleep(REBUILD_POLL_S)


def rebuild_words(array: ArrayStatus) -> str:
    """Describes how far a mirror's rebuild is: md1 [2/3] 12.5 %."""
    percent = "" if array.recovery_percent is None else f" {array.recovery_percent} %"
    return f"{array.name} [{array.working}/{array.raid_devices}]{percent}"
