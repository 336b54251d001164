"""Brings the clients to the state that the experiment needs. A second run changes nothing."""

from __future__ import annotations

from functools import partial

from inventory import Host
from workloads.deployment import Step, install_packages, run_steps
from workloads.efs_iops.context import MOUNT_POINT, Context, folder_of, script
from workloads.efs_iops.mount_options import HELPER_OPTIONS, Mounted, differences, noted
from workloads.efs_iops.plan import Cell, Plan, cells
from workloads.errors import WorkloadError
from workloads.results import proof
from workloads.worker import bring_worker

PACKAGES, MODULES = ("nfs-common",), ("nfsv4",)
# A mount target that is available answers at once or not at all; in a rehearsal its server takes three seconds to boot.
PORT_SECONDS = 15
MOUNT_SECONDS = 60
FILES_TIMEOUT_S = 1800  # the full plan's sequential files at the rate of a small file system


def configure(context: Context, plan: Plan) -> int:
    """Brings packages, mount, worker and files to the clients; returns the number of changes."""
    clients = [host.name for host in context.clients]
    needed = dict.fromkeys(clients, (PACKAGES, MODULES))
    steps = [
        Step("packages", lambda: install_packages(context, script("host_packages"), needed)),
        Step("mount", partial(mount, context)),
        Step("worker", lambda: bring_worker(context, clients)),
        Step("files", partial(make_files, context, plan)),
    ]
    return run_steps(context, steps)


def mount(context: Context) -> int:
    """Mounts the file system on every client; reads back which file system it is, and each option."""
    arguments = {
        host.name: [
            context.mount_target_of(host),
            MOUNT_POINT,
            str(MOUNT_SECONDS),
            str(PORT_SECONDS),
            "tls" if context.tls else "plain",
            context.file_system.id,
            HELPER_OPTIONS,
        ]
        for host in context.clients
    }
    results = context.hosts.run(
        script("client_mount"), arguments, idle_timeout_seconds=MOUNT_SECONDS + PORT_SECONDS + 30
    )
    faults = [_check_mount(context, host, Mounted.of(results[host.name].facts[0])) for host in context.clients]
    for fault in faults:  # all are recorded
        if fault is not None:
            raise fault
    return sum(result.changed for result in results.values())


def _check_mount(context: Context, host: Host, seen: Mounted) -> WorkloadError | None:
    """Records what is mounted and how, as a proof; returns why it can't be measured: it is another file system, or has
    other options.
    """
    address = context.mount_target_of(host)
    fault = None
    if not seen.is_root_of(address, tls=context.tls):
        through = " through a tunnel (--tls)" if context.tls else ""
        fault = WorkloadError(
            f"{MOUNT_POINT} has {seen.words} mounted, and not {address}:/ of {context.file_system.id}{through}",
            f"umount {MOUNT_POINT} there and configure again, or correct the inventory's file_system",
            host.name,
        )
    elif found := differences(seen.options, tls=context.tls):
        fault = WorkloadError(
            f"{MOUNT_POINT} is mounted otherwise than it should be: {'; '.join(found)}",
            f"see whether the host's kernel or /etc/nfsmount.conf changes options, then umount {MOUNT_POINT} there "
            "and configure again",
            host.name,
        )
    parts = [f"{seen.words} {seen.kind} ({seen.options})"]
    if fault is not None:
        parts.append(fault.what)
    if others := noted(seen.options, tls=context.tls):
        parts.append(f"noted, since they change no operation: {', '.join(others)}")
    detail = "; ".join(parts)
    context.results.append("proofs", proof("mount-options", host.name, context.file_system.id, detail, fault is None))
    return fault


def make_files(context: Context, plan: Plan) -> int:
    """Makes the files of every client, as many and as long as the plan needs."""
    sizes = file_sizes(cells(plan))
    arguments = {host.name: [MOUNT_POINT, folder_of(host.name), *map(str, sizes)] for host in context.clients}
    results = context.hosts.run(script("client_files"), arguments, idle_timeout_seconds=FILES_TIMEOUT_S)
    return sum(result.changed for result in results.values())


def file_sizes(planned: list[Cell]) -> tuple[int, int, int, int]:
    """Returns how many files of how many bytes the cells need: for fixed cells, and for sequential ones."""
    fixed = [cell for cell in planned if cell.span_bytes is None]
    along = [cell for cell in planned if cell.span_bytes is not None]
    return (
        max((cell.writers for cell in fixed), default=0),
        max((cell.request_bytes for cell in fixed), default=0),
        max((cell.writers for cell in along), default=0),
        max((cell.span_bytes or 0 for cell in along), default=0),
    )


def files_of(cell: Cell, host: str) -> list[str]:
    """Returns the files of a cell on a client, one for each writer."""
    prefix = "fixed" if cell.span_bytes is None else "along"
    return [f"{folder_of(host)}/{prefix}-{number:04d}" for number in range(1, cell.writers + 1)]
