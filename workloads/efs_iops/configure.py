"""Brings the clients to the state that the experiment needs; a second run changes nothing."""

from __future__ import annotations

from functools import partial

from inventory import Host
from workloads.deployment import versions_on
from workloads.efs_iops import mount_options
from workloads.efs_iops.context import Context, folder_of
from workloads.efs_iops.mounted import Mounted
from workloads.efs_iops.plan import Cell, Plan, cells
from workloads.efs_iops.settings import MODULES, MOUNT_POINT, MOUNT_SECONDS, PACKAGES, PORT_SECONDS
from workloads.errors import WorkloadError
from workloads.results import proof
from workloads.steps import Step, run_steps
from workloads.worker import bring_worker

PACKAGES_TIMEOUT_S = 900
FILES_TIMEOUT_S = 1800  # the full plan's sequential files at the rate of a small file system


def configure(context: Context, plan: Plan, *, tls: bool = False) -> int:
    """Packages, mount, worker and files; the number of changes."""
    steps: list[Step] = [
        ("packages", partial(check_packages, context)),
        ("mount", partial(mount, context, tls=tls)),
        ("worker", partial(bring_worker, context, [host.name for host in context.clients])),
        ("files", partial(make_files, context, plan)),
    ]
    return run_steps(context, steps)


def check_packages(context: Context) -> int:
    """Packages and kernel modules."""
    results = context.on_clients("host_packages", [*PACKAGES, "--", *MODULES], idle_timeout_seconds=PACKAGES_TIMEOUT_S)
    for name, result in results.items():
        context.versions |= versions_on(name, result)
    return sum(result.changed for result in results.values())


def mount(context: Context, *, tls: bool) -> int:
    """Mounts the file system on every client and reads the mount back: which it is, and option by option."""
    arguments = {
        host.name: [
            context.mount_target_of(host),
            MOUNT_POINT,
            str(MOUNT_SECONDS),
            str(PORT_SECONDS),
            "tls" if tls else "plain",
            context.file_system.id,
            mount_options.HELPER_OPTIONS,
        ]
        for host in context.clients
    }
    results = context.on_clients("client_mount", arguments, idle_timeout_seconds=MOUNT_SECONDS + PORT_SECONDS + 30)
    faults: list[WorkloadError] = []
    for host in context.clients:
        seen = Mounted.of(results[host.name].facts[0])
        fault = mount_fault(context, host, seen, tls=tls)
        record_mount(context, host, seen, fault, tls=tls)
        if fault is not None:
            faults.append(fault)
    if faults:
        raise faults[0]
    return sum(result.changed for result in results.values())


def mount_fault(context: Context, host: Host, seen: Mounted, *, tls: bool) -> WorkloadError | None:
    """Why what is mounted on a host can't be measured: it is something else, or mounted otherwise."""
    address = context.mount_target_of(host)
    if not seen.is_root_of(address, tls=tls):
        through = " through a tunnel (--tls)" if tls else ""
        return WorkloadError(
            f"{MOUNT_POINT} has {seen.words} mounted, and not {address}:/ of {context.file_system.id}{through}",
            f"umount {MOUNT_POINT} there and configure again, or correct the inventory's file_system",
            host.name,
        )
    if differences := seen.differences(tls=tls):
        return WorkloadError(
            f"{MOUNT_POINT} is mounted otherwise than it should be: {'; '.join(differences)}",
            f"see whether the host's kernel or /etc/nfsmount.conf changes options, then umount {MOUNT_POINT} there "
            "and configure again",
            host.name,
        )
    return None


def record_mount(context: Context, host: Host, seen: Mounted, fault: WorkloadError | None, *, tls: bool) -> None:
    """Notes what is mounted and how, as a proof; and which other options the kernel shows."""
    parts = [f"{seen.words} {seen.kind} ({seen.options})"]
    if fault is not None:
        parts.append(fault.what)
    if noted := seen.noted(tls=tls):
        parts.append(f"noted, since they change no operation: {', '.join(noted)}")
    context.results.append(
        "proofs", proof("mount-options", host.name, context.file_system.id, "; ".join(parts), fault is None)
    )


def make_files(context: Context, plan: Plan) -> int:
    """The files of every client, as many and as long as the plan needs."""
    sizes = file_sizes(cells(plan))
    arguments = {host.name: [MOUNT_POINT, folder_of(host.name), *map(str, sizes)] for host in context.clients}
    results = context.on_clients("client_files", arguments, idle_timeout_seconds=FILES_TIMEOUT_S)
    return sum(result.changed for result in results.values())


def file_sizes(planned: list[Cell]) -> tuple[int, int, int, int]:
    """How many files of how many bytes the cells need: at offset 0, and to go along."""
    fixed = [cell for cell in planned if cell.span_bytes is None]
    along = [cell for cell in planned if cell.span_bytes is not None]
    return (
        max((cell.writers for cell in fixed), default=0),
        max((cell.request_bytes for cell in fixed), default=0),
        max((cell.writers for cell in along), default=0),
        max((cell.span_bytes or 0 for cell in along), default=0),
    )


def files_of(cell: Cell, host: str) -> list[str]:
    """The files of a cell on a client, one for each writer."""
    prefix = "fixed" if cell.span_bytes is None else "along"
    return [f"{folder_of(host)}/{prefix}-{number:04d}" for number in range(1, cell.writers + 1)]
