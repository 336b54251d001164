"""The declaration of iscsi-tunnel for fabfile.py."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from workloads.experiment import INVENTORY, STACK, Experiment, Option, PlanFormat, Stage, Task
from workloads.lazy_import import lazy_import

if TYPE_CHECKING:
    from inventory import Inventory
    from workloads import console, worker
    from workloads.experiment import Request
    from workloads.iscsi_tunnel import attachment, configure, drill, endpoints, plan, prove, run, tasks
else:
    console, worker = lazy_import("workloads.console"), lazy_import("workloads.worker")
    names = ("attachment", "configure", "drill", "endpoints", "plan", "prove", "run", "tasks")
    attachment, configure, drill, endpoints, plan, prove, run, tasks = (
        lazy_import(f"{__package__}.{name}") for name in names
    )

CLIENT = Option("client", "a host's name, or `this` for this machine (default: the host with the role client)")
LIMIT = Option("limit", "seconds without a connection after which reads and writes fail (default: 120)")
TUN = Option("tun", "the number of the client's tun device (default: a free one)")


def describe_plan(found: plan.Plan) -> list[str]:
    """Describes what a plan measures, and for how long."""
    cells = sum(len(plan.cells_of(found, path, writes=True)) for path in plan.PATHS)
    seconds = cells * (found.warmup_seconds + found.measured_seconds) + 2 * found.ssh_seconds
    return [
        f"{found.name}: {cells} cells of the disk and 2 of ssh, {console.duration_words(seconds)} of measuring",
        f"the drill: ssh killed once, the path cut for {found.cut_seconds} s",
    ]


def check(inventory: Inventory, request: Request) -> None:
    """Refuses an inventory without one server of one volume, and a --client that is none of its hosts."""
    endpoints.server_of(inventory)
    endpoints.client_of(inventory, request.options["client"])


EXPERIMENT = Experiment(
    name="iscsi-tunnel",
    scripts=Path(__file__).parent / "scripts",
    plan=PlanFormat(lambda which: plan.Plan.load(which), describe_plan),
    prepare=lambda: worker.Worker.load(),
    check=check,
    make_context=lambda deployment, request: endpoints.TunnelEndpoints.of(deployment, request.options["client"]),
    options=(STACK, INVENTORY, CLIENT),
    stages=(
        Stage(
            "configure",
            "Prepare the server for a tunnel.\n\nRestores sshd's configuration if a new log-in fails.",
            lambda context, _: configure.configure(context),
            takes_plan=False,
        ),
        Stage(
            "prove",
            "Prove that nothing but SSH passes.\n\n"
            "Captures the traffic between the hosts, and tries the target's port from the client and a "
            "third host.",
            lambda context, _: prove.prove(context),
            results="newest",
            takes_plan=False,
        ),
        Stage(
            "run",
            "Measure what the tunnel costs.\n\n"
            "Reads and writes the disk through the tunnel and without it (MiB/s), and moves data by ssh "
            "alone.",
            lambda context, found: run.run(context, found),
            results="new",
        ),
        Stage(
            "drill",
            "Lose the connection; see it come back.\n\nKills ssh, then cuts the path, while the disk is read.",
            lambda context, found: drill.drill(context, found),
            results="newest",
        ),
        Stage("detach", "", lambda context, _: attachment.detach_recorded(context)),
    ),
    tasks=(
        Task("attach", "Attach the volume; print its path.", lambda request: tasks.attach(request), (LIMIT, TUN)),
        Task("detach", "Detach the volume; prove that it is gone.", lambda request: tasks.detach(request)),
        Task("status", "Show tunnel, session and disk.", lambda request: tasks.status(request)),
    ),
    all_help="Configure, prove, run, drill, report.",
)
