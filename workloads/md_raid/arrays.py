"""The client's arrays: the mirrors, the stripe over them, and the temporary arrays that some cells are measured on."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from workloads.md_raid.context import Context, script
from workloads.md_raid.parsers import ArrayDetail, ArrayStatus, ClientState, Disk
from workloads.md_raid.plan import Cell, layout_name
from workloads.md_raid.topology import STRIPE, Mirror

BENCH_STRIPE = "md98"
# mdadm's default, and so the original's: a sequential request of 1 MiB spans two chunks.
CHUNK_KIB = 512
REBUILD_POLL_S = 1.0
# A rebuild without progress for this long is stuck.
REBUILD_STALL_S = 300


def refuse_failed(context: Context, status: ArrayStatus | None) -> None:
    """Refuses an array that neither runs nor waits for members: one that is broken, or in an unknown state."""
    if status is not None and status.activity not in ("active", "inactive"):
        raise context.client_error(
            status.condition,
            "see that every storage server is up; then stop what lies on it, and it "
            f"(mdadm --stop /dev/{status.name}), and run configure again, which assembles it from its legs",
        )


def active_array(context: Context, status: Mapping[str, ArrayStatus], name: str) -> ArrayStatus:
    """Returns the array of that name. Raises WorkloadError when it is absent or not active."""
    array = status.get(name)
    refuse_failed(context, array)
    if array is None or not array.active:
        words = f"{name} is not there" if array is None else array.condition
        raise context.client_error(words, "run configure again")
    return array


def bench_mirrors(count: int) -> list[str]:
    """Returns the names of so many temporary mirrors."""
    return [f"md{100 + number}" for number in range(1, count + 1)]


def stop_leftovers(context: Context) -> int:
    """Stops temporary arrays, and the stripe with members missing: they hold the mirrors, or their legs."""
    state = context.client_disks()
    bench = bench_mirrors(len(context.topology.mirrors))
    leftover = [name for name in (BENCH_STRIPE, STRIPE, *bench) if name in state.status]
    if STRIPE in leftover and state.status[STRIPE].active:
        leftover.remove(STRIPE)
    ours = {mirror.name for mirror in context.topology.mirrors} | set(bench)
    ours |= {device.removeprefix("/dev/") for device in context.leg_by_device(state)}
    for name in leftover:
        if strange := sorted(set(state.status[name].members) - ours):
            raise context.client_error(
                f"/dev/{name} is another array, over {', '.join(strange)}",
                f"stop it with mdadm --stop /dev/{name} if it is not wanted, or give it another name",
            )
    return context.on_client("client_stop", leftover).changed if leftover else 0


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
            raise context.client_error(
                f"/dev/{mirror.name} is another array ({detail.label or 'without a name'})",
                f"stop it with mdadm --stop /dev/{mirror.name} if it is not wanted",
            )
        disks = [state.disks[leg.iqn] for leg in mirror.legs]
        refuse_taken(context, state, disks)
        labelled = [disk for disk in disks if disk.label is not None]
        foreign = [disk for disk in labelled if disk.label != f"tidemark:{mirror.name}"]
        if foreign:
            raise context.client_error(
                f"{foreign[0].device} ({foreign[0].target}) is a leg of {foreign[0].label}, not of {mirror.name}",
                "the inventory's volumes have another order than when the arrays were made: "
                "restore that order, or give fresh volumes",
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
            raise context.client_error(
                f"{disk.device} ({disk.target}) is held by {disk.holder}{words}",
                f"take it from there (lsblk {disk.device}; an array is stopped by mdadm --stop /dev/{disk.holder}), "
                "then run configure again",
            )


def refuse_unreadable(context: Context, disks: Sequence[Disk]) -> None:
    """Refuses legs whose label could not be read: they may belong to an array."""
    for disk in disks:
        if disk.label_fault is not None:
            raise context.client_error(
                f"whether {disk.device} ({disk.target}) has an array's label is not known ({disk.label_fault})",
                "see that every storage server is up, then run configure again",
            )


def check_mirror(context: Context, state: ClientState, mirror: Mirror, detail: ArrayDetail) -> None:
    """Refuses a running array that is not a mirror of this experiment."""
    by_device = context.leg_by_device(state)
    held = {by_device.get(leg.device) for leg in detail.legs if leg.device is not None}
    strange = held - set(mirror.legs)
    # Each leg has every third chunk next in line. A RAID-1 of rotating legs reads a stream from one of them.
    layout = layout_name("offset", len(mirror.legs))
    expected = ("raid10", layout, len(mirror.legs))
    if (detail.level, detail.layout, detail.raid_devices) != expected or strange:
        raise context.client_error(
            f"/dev/{mirror.name} is {detail.level} {detail.layout} over "
            + ", ".join(leg.device or "nothing" for leg in detail.legs),
            f"it should be raid10 {layout}, a leg from each server: deploy fresh volumes, "
            "or stop it and clear its legs",
        )


def check_zeroed(context: Context) -> int:
    """Checks on the storage servers that the legs of absent mirrors read as zero."""
    if context.absent:
        legs = [leg for mirror in context.absent for leg in mirror.legs]
        wanted = {
            server.name: [leg.volume for leg in legs if leg.server == server.name]
            for server in context.topology.servers
        }
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


def lost_legs(context: Context, state: ClientState) -> dict[str, list[str]]:
    """Returns by mirror the disks of legs that are not in it although their disk is there."""
    lost = {}
    for mirror in context.topology.mirrors:
        detail = state.arrays.get(mirror.name)
        if detail is None:
            continue
        held = {leg.device for leg in detail.legs if leg.is_held}
        disks = [disk.device for leg in mirror.legs if (disk := state.disks.get(leg.iqn)) is not None]
        if missing := [disk for disk in disks if disk not in held]:
            lost[mirror.name] = missing
    return lost


def return_legs(context: Context, on_rebuilt: Callable[[str], None] = lambda _: None) -> int:
    """Adds lost legs to their mirrors again, and waits until every leg holds all data."""
    state = context.client_state()
    mirrors = [active_array(context, state.status, mirror.name) for mirror in context.topology.mirrors]
    if all(mirror.whole for mirror in mirrors):
        return 0
    lost = [f"{name}={','.join(disks)}" for name, disks in lost_legs(context, state).items()]
    changed = context.on_client("client_readd", lost).changed if lost else 0
    wait_rebuilt(context, on_rebuilt)
    return changed


def wait_rebuilt(context: Context, on_rebuilt: Callable[[str], None]) -> None:
    """Waits until every mirror has all its legs, and shows how far each is."""
    waiting = [mirror.name for mirror in context.topology.mirrors]
    last_words, last_move = "", time.monotonic()
    with context.console.under_way("rebuild", "mirrors") as progress:
        while True:
            status = context.array_status()
            arrays = [active_array(context, status, name) for name in waiting]
            for array in arrays:
                if array.whole:
                    on_rebuilt(array.name)
            waiting = [array.name for array in arrays if not array.whole]
            if not waiting:
                return
            words = ", ".join(rebuild_words(array) for array in arrays if not array.whole)
            progress.update(words)
            if words != last_words:
                last_words, last_move = words, time.monotonic()
            if time.monotonic() - last_move > REBUILD_STALL_S:
                raise context.client_error(
                    f"the rebuild has not moved for {REBUILD_STALL_S} s: {words}",
                    "see mdadm --detail and dmesg on the client, then run configure again",
                )
            time.sleep(REBUILD_POLL_S)


def rebuild_words(array: ArrayStatus) -> str:
    """Describes how far a mirror's rebuild is: md1 [2/3] 12.5 %."""
    percent = "" if array.recovery_percent is None else f" {array.recovery_percent} %"
    return f"{array.name} [{array.working}/{array.raid_devices}]{percent}"


def make_stripe(context: Context) -> int:
    """Assembles or creates the RAID-0 over the mirrors."""
    changed = stop_leftovers(context)
    state = context.client_state()
    mirrors = [active_array(context, state.status, mirror.name).name for mirror in context.topology.mirrors]
    devices = [f"/dev/{name}" for name in mirrors]
    detail = state.arrays.get(STRIPE)
    label = f"tidemark:{STRIPE}"
    if detail is not None:
        members = {leg.device for leg in detail.legs}
        if detail.level != "raid0" or members != set(devices):
            raise context.client_error(
                f"/dev/{STRIPE} is {detail.level} over {', '.join(sorted(map(str, members)))}",
                f"stop it with mdadm --stop /dev/{STRIPE} if it is not wanted",
            )
        return changed
    labelled = [name for name in mirrors if state.array_labels.get(name) == label]
    unknown = [name for name in mirrors if name in state.label_faults]
    if unknown and not labelled:
        raise context.client_error(
            f"whether {unknown[0]} has {STRIPE}'s label is not known ({state.label_faults[unknown[0]]})",
            "see dmesg on that host, then run configure again",
        )
    # An existing stripe is never created again: creating writes only labels, but would lose its data.
    how = "assemble" if labelled else "create"
    return changed + context.on_client("client_stripe", [STRIPE, str(CHUNK_KIB), how, *devices]).changed


def build_stripe(context: Context, members: list[str]) -> str:
    """Builds a temporary stripe over those devices; returns its device."""
    context.on_client("client_bench_stripe", [BENCH_STRIPE, STRIPE, str(CHUNK_KIB), *members])
    return f"/dev/{BENCH_STRIPE}"


def build_mirrors(context: Context, cell: Cell) -> tuple[list[str], Sequence[Mapping[str, Any]]]:
    """Builds the cell's temporary mirrors, read-only, over the legs of assembled ones; returns their devices, and what
    the kernel says of their legs.

    Nothing is written to the legs. `assemble_mirrors` brings the assembled mirrors back.
    """
    names = bench_mirrors(len(cell.legs))
    disks = [context.devices_of(legs) for legs in cell.legs]
    words = [f"{name}={cell.copies}={','.join(legs)}" for name, legs in zip(names, disks, strict=True)]
    built = context.on_client("client_bench_mirrors", [str(CHUNK_KIB), *words])
    return [f"/dev/{name}" for name in names], built.facts
