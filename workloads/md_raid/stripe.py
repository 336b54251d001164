"""The RAID-0 over the mirrors, and the temporary arrays that some cells are measured on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from workloads.errors import WorkloadError
from workloads.md_raid.context import Context
from workloads.md_raid.parsers import ArrayStatus
from workloads.md_raid.plan import Cell
from workloads.md_raid.settings import BENCH_STRIPE, CHUNK_KIB, STRIPE, bench_mirror


def refuse_failed(context: Context, status: ArrayStatus | None) -> None:
    """Refuses an array that neither runs nor waits for members: one that is broken, or in an unknown state."""
    if status is not None and status.activity not in ("active", "inactive"):
        raise WorkloadError(
            status.condition,
            "see that every storage server is up; then stop what lies on it, and it "
            f"(mdadm --stop /dev/{status.name}), and run configure again, which assembles it from its legs",
            context.client_name,
        )


def active_array(context: Context, status: Mapping[str, ArrayStatus], name: str) -> ArrayStatus:
    """Returns the array of that name. Raises WorkloadError when it is absent or not active."""
    array = status.get(name)
    refuse_failed(context, array)
    if array is None or not array.active:
        words = f"{name} is not there" if array is None else array.condition
        raise WorkloadError(words, "run configure again", context.client_name)
    return array


def stop_leftovers(context: Context) -> int:
    """Stops temporary arrays, and the stripe with members missing: they hold the mirrors, or their legs."""
    state = context.client_disks()
    bench = [bench_mirror(number) for number in range(1, len(context.topology.mirrors) + 1)]
    leftover = [name for name in (BENCH_STRIPE, STRIPE, *bench) if name in state.status]
    if STRIPE in leftover and state.status[STRIPE].active:
        leftover.remove(STRIPE)
    ours = {mirror.name for mirror in context.topology.mirrors} | set(bench)
    ours |= {device.removeprefix("/dev/") for device in context.leg_by_device(state)}
    for name in leftover:
        if strange := sorted(set(state.status[name].members) - ours):
            raise WorkloadError(
                f"/dev/{name} is another array, over {', '.join(strange)}",
                f"stop it with mdadm --stop /dev/{name} if it is not wanted, or give it another name",
                context.client_name,
            )
    return context.on_client("client_stop", leftover).changed if leftover else 0


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
            raise WorkloadError(
                f"/dev/{STRIPE} is {detail.level} over {', '.join(sorted(map(str, members)))}",
                f"stop it with mdadm --stop /dev/{STRIPE} if it is not wanted",
                context.client_name,
            )
        return changed
    labelled = [name for name in mirrors if state.array_labels.get(name) == label]
    unknown = [name for name in mirrors if name in state.label_faults]
    if unknown and not labelled:
        raise WorkloadError(
            f"whether {unknown[0]} has {STRIPE}'s label is not known ({state.label_faults[unknown[0]]})",
            "see dmesg on that host, then run configure again",
            context.client_name,
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

    Nothing is written to the legs. `arrays.assemble_mirrors` brings the assembled mirrors back.
    """
    names = [bench_mirror(number) for number in range(1, len(cell.legs) + 1)]
    disks = [context.devices_of(legs) for legs in cell.legs]
    words = [f"{name}={cell.copies}={','.join(legs)}" for name, legs in zip(names, disks, strict=True)]
    built = context.on_client("client_bench_mirrors", [str(CHUNK_KIB), *words])
    return [f"/dev/{name}" for name in names], built.facts
