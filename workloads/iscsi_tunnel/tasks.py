"""iscsi-tunnel's tasks, as fabfile.py offers them: inventory in, connections made, results written."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from inventory import Inventory
from workloads import deployment, sources
from workloads.console import Console, duration_words, si_bytes
from workloads.deployment import existing, latest, local_versions, recorded
from workloads.errors import WorkloadError
from workloads.iscsi_tunnel import plan as plans
from workloads.iscsi_tunnel.attachment import Attachment, Status
from workloads.iscsi_tunnel.attachment import attach as attach_volume
from workloads.iscsi_tunnel.attachment import detach as detach_volume
from workloads.iscsi_tunnel.attachment import status as status_of
from workloads.iscsi_tunnel.configure import configure as configure_ends
from workloads.iscsi_tunnel.drill import drill as drill_ends
from workloads.iscsi_tunnel.ends import Ends, client_of, server_of
from workloads.iscsi_tunnel.prove import prove as prove_ends
from workloads.iscsi_tunnel.records import detach_recorded
from workloads.iscsi_tunnel.run import run as run_cells
from workloads.iscsi_tunnel.settings import SCRIPTS
from workloads.logs import collect_logs
from workloads.results import Results
from workloads.worker import Worker

# A day: who waits longer for a disk has forgotten it.
MAX_LIMIT_SECONDS = 86_400
MAX_TUN = 9_999


@contextmanager
def connected(inventory: Inventory, console: Console, client: str | None) -> Iterator[Ends]:
    """Connections to the inventory's hosts, closed at the end; one that has no tunnel in it is refused first."""
    server_of(inventory)
    client_of(inventory, client)
    with deployment.connected(inventory, console) as found:
        yield Ends.of(found, client)


def configure(stack: str | None, file: str | None, client: str | None) -> None:
    """`fab iscsi-tunnel.configure`."""
    with connected(sources.load(stack, file), Console(), client) as ends:
        configure_ends(ends)


def attach(stack: str | None, file: str | None, client: str | None, limit_seconds: int, tun: int | None) -> None:
    """`fab iscsi-tunnel.attach`."""
    if not 1 <= limit_seconds <= MAX_LIMIT_SECONDS:
        raise WorkloadError(f"--limit {limit_seconds}: not possible", f"give seconds, from 1 to {MAX_LIMIT_SECONDS}")
    if tun is not None and not 0 <= tun <= MAX_TUN:
        raise WorkloadError(f"--tun {tun}: not possible", f"give the number of a device, from 0 to {MAX_TUN}")
    with connected(sources.load(stack, file), Console(), client) as ends:
        show_attachment(ends, attach_volume(ends, limit_seconds=limit_seconds, tun=tun))


def detach(stack: str | None, file: str | None, client: str | None) -> None:
    """`fab iscsi-tunnel.detach`."""
    console = Console()
    with connected(sources.load(stack, file), console, client) as ends:
        changed = detach_volume(ends)
        words = "disk and tunnel have gone" if changed else "nothing was attached"
        console.say("detach", f"{ends.client_name}: {words}")


def status(stack: str | None, file: str | None, client: str | None) -> None:
    """`fab iscsi-tunnel.status`."""
    console = Console()
    with connected(sources.load(stack, file), console, client) as ends:
        console.say("status", f"{ends.client_name}: {status_words(status_of(ends))}")


def show_attachment(ends: Ends, found: Attachment) -> None:
    """Says what is attached, and where."""
    console = ends.deployment.console
    already = "" if found.changed else " already"
    console.say("attach", f"{found.volume} is attached{already} at {ends.client_name}: {found.device} ({found.disk})")
    console.say(
        "attach",
        f"{found.size_bytes} bytes ({si_bytes(found.size_bytes)}) as the volume has, "
        f"through {found.tun} with packets of {found.mtu_bytes} bytes",
    )


def status_words(seen: Status) -> str:
    """A status, for a person."""
    tunnel = f"tunnel {seen.tunnel}" + (f" ({seen.detail})" if seen.detail else "")
    if not seen.disk:
        return f"{tunnel}, no disk"
    return f"{tunnel}, session {seen.session}, {seen.device or seen.disk} {seen.disk_state}, {seen.size_bytes} bytes"


def show_plan(name: str | None) -> None:
    """`fab iscsi-tunnel.plan`: reads a plan, and says what it measures and for how long."""
    plan = plans.load(name)
    cells = sum(len(plans.cells_of(plan, path, writes=True)) for path in plans.PATHS)
    seconds = cells * (plan.warmup_seconds + plan.measured_seconds) + 2 * plan.ssh_seconds
    console = Console()
    console.say("plan", f"{plan.name}: {cells} cells of the disk and 2 of ssh, {duration_words(seconds)} of measuring")
    console.say("plan", f"the drill: ssh killed once, the path cut for {plan.cut_seconds} s")


def prove(stack: str | None, file: str | None, client: str | None) -> None:
    """`fab iscsi-tunnel.prove`."""
    inventory = sources.load(stack, file)
    with connected(inventory, Console(), client) as ends, recorded(ends.deployment, latest(ends.deployment)):
        prove_ends(ends)


def run(stack: str | None, file: str | None, client: str | None, plan_name: str | None) -> None:
    """`fab iscsi-tunnel.run`."""
    inventory, plan = prepared(stack, file, plan_name)
    with connected(inventory, Console(), client) as ends, recorded(ends.deployment, started(ends, plan)):
        configure_ends(ends)
        run_cells(ends, plan)


def drill(stack: str | None, file: str | None, client: str | None, plan_name: str | None) -> None:
    """`fab iscsi-tunnel.drill`."""
    inventory, plan = prepared(stack, file, plan_name)
    with connected(inventory, Console(), client) as ends, recorded(ends.deployment, latest(ends.deployment)):
        drill_ends(ends, plan)


def collect(stack: str | None, file: str | None, client: str | None) -> None:
    """`fab iscsi-tunnel.collect`."""
    with connected(sources.load(stack, file), Console(), client) as ends:
        ends.deployment.results = existing(ends.deployment)
        collect_logs(ends.deployment, SCRIPTS)


def all_(stack: str | None, file: str | None, client: str | None, plan_name: str | None) -> Path:
    """`fab iscsi-tunnel.all`, up to the report; the directory of the results."""
    inventory, plan = prepared(stack, file, plan_name)
    with connected(inventory, Console(), client) as ends:
        results = started(ends, plan)
        with recorded(ends.deployment, results):
            configure_ends(ends)
            prove_ends(ends)
            attached = run_cells(ends, plan)
            drill_ends(ends, plan, attached)
            detach_recorded(ends)
            collect_logs(ends.deployment, SCRIPTS)
    return results.directory


def started(ends: Ends, plan: plans.Plan) -> Results:
    """New results."""
    return Results.start(ends.deployment.inventory, plan=plan.to_dict(), versions=local_versions())


def prepared(stack: str | None, file: str | None, plan_name: str | None) -> tuple[Inventory, plans.Plan]:
    """Inventory, plan and worker, looked at before any host is touched."""
    plan = plans.load(plan_name)
    Worker.load()
    return sources.load(stack, file), plan
