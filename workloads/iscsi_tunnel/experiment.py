"""The declaration of iscsi-tunnel for fabfile.py."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from workloads.experiment import INVENTORY, STACK, Experiment, Option, PlanFormat, Stage, Task
from workloads.lazy_import import lazy_import

if TYPE_CHECKING:
    from inventory import Inventory
    from workloads import console, worker
    from workloads.deployment import Deployment
    from workloads.experiment import Request
    from workloads.iscsi_tunnel import attachment, configure, drill, endpoints, plan, prove, run, tasks
else:
    console, worker = lazy_import("workloads.console"), lazy_import("workloads.worker")
    names = ("attachment", "configure", "drill", "endpoints", "plan", "prove", "run", "tasks")
    attachment, configure, drill, endpoints, plan, prove, run, tasks = (
        lazy_import(f"{__package__}.{name}") for name in names
    )

CLIENT = Option("client", "a host's name, or `this` for this machine (default: the host of that role)")
LIMIT = Option("limit", "how many seconds a lost connection is waited for before the disk fails (default: 120)")
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


def make_context(deployment: Deployment, request: Request) -> endpoints.TunnelEndpoints:
    """Server and client of open connections."""
    return endpoints.TunnelEndpoints.of(deployment, request.options["client"])


EXPERIMENT = Experiment(
    name="iscsi-tunnel",
    scripts=Path(__file__).parent / "scripts",
    plan=PlanFormat(lambda which: plan.load(which), describe_plan),
    prepare=lambda: worker.Worker.load(),
    check=check,
    make_context=make_context,
    options=(STACK, INVENTORY, CLIENT),
    stages=(
        Stage(
            "configure",
            "Prepare the server for a tunnel from the client.",
            lambda context, _: configure.configure(context),
            takes_plan=False,
        ),
        Stage(
            "prove",
            "Prove that nothing but SSH passes.",
            lambda context, _: prove.prove(context),
            results="newest",
            takes_plan=False,
        ),
        Stage("run", "Measure what the tunnel costs.", lambda context, found: run.run(context, found), results="new"),
        Stage(
            "drill",
            "Lose the connection; see it come back.",
            lambda context, found: drill.drill(context, found),
            results="newest",
        ),
        Stage("detach", "", lambda context, _: attachment.detach_recorded(context)),
    ),
    tasks=(
        Task("attach", "Attach the volume; says its stable name.", lambda request: tasks.attach(request), (LIMIT, TUN)),
        Task("detach", "Detach the volume; proves that it has gone.", lambda request: tasks.detach(request)),
        Task("status", "Show tunnel, session and disk.", lambda request: tasks.status(request)),
    ),
    all_help="Do all of these, and report.",
)
