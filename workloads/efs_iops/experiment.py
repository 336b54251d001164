"""The declaration of efs-iops for fabfile.py."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from workloads.experiment import INVENTORY, REQUIRED, STACK, Experiment, Option, PlanFormat, Stage, Task
from workloads.lazy_import import lazy_import

if TYPE_CHECKING:
    from inventory import Inventory
    from workloads import console, worker
    from workloads.efs_iops import configure, plan, run
    from workloads.efs_iops import context as contexts
    from workloads.experiment import Request
else:
    console, worker = lazy_import("workloads.console"), lazy_import("workloads.worker")
    names = ("configure", "plan", "run", "context")
    configure, plan, run, contexts = (lazy_import(f"{__package__}.{name}") for name in names)

OVERHEAD_SECONDS = 1  # of a cell: between the end of one and the start of the next
TLS = Option("tls", "mount through amazon-efs-utils with TLS, where the hosts have it", False)


def describe_plan(found: plan.Plan) -> list[str]:
    """Describes what a plan measures, and for how long."""
    cells = plan.cells(found)
    seconds = sum(cell.seconds + OVERHEAD_SECONDS for cell in cells)
    lengths = " or ".join(str(each) for each in sorted({cell.seconds for cell in cells}))
    sizes = ", ".join(str(size) for size in sorted({cell.request_bytes for cell in cells}))
    writers = ", ".join(str(count) for count in sorted({cell.writers for cell in cells}))
    return [
        f"{found.name}: {len(cells)} cells of {lengths} s, {console.duration_words(seconds)} in all",
        f"operations of {sizes} bytes by {writers} writers on each of up to {found.clients} clients",
    ]


def check(inventory: Inventory, request: Request) -> None:
    """Refuses an inventory without a file system for its clients, and a plan that asks for more clients."""
    contexts.file_system_of(inventory)
    if request.plan is not None:
        plan.check(request.plan, len(inventory.hosts_in("client")))


EXPERIMENT = Experiment(
    name="efs-iops",
    scripts=Path(__file__).parent / "scripts",
    plan=PlanFormat(lambda which: plan.Plan.load(which), describe_plan),
    prepare=lambda: worker.Worker.load(),
    check=check,
    make_context=lambda deployment, request: contexts.Context.of(deployment, tls=bool(request.options.get("tls"))),
    stages=(
        Stage(
            "configure",
            "Mount the file system and make files.\n\n"
            "Fails if the kernel shows other mount options than were asked for.",
            lambda context, found: configure.configure(context, found),
            options=(TLS,),
        ),
        Stage(
            "run",
            "Measure operations by number of writers.\n\n"
            "Rates are operations a second, sizes bytes. Afterwards it waits for CloudWatch's minutes.",
            lambda context, found: run.run(context, found),
            results="new",
            options=(TLS,),
        ),
    ),
    tasks=(
        Task(
            "base",
            "Measure one operation, for a rehearsal.\n\nWrites the seconds that each operation takes, as JSON.",
            lambda request: run.measure_base(request),
            options=(Option("output", "the JSON file to write", REQUIRED), STACK, INVENTORY),
            common=False,
        ),
    ),
    all_help="Configure, run, collect logs, and report.",
)
