"""The declaration of md-raid for fabfile.py."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from workloads.experiment import Experiment, PlanFormat, Stage
from workloads.lazy_import import lazy_import

if TYPE_CHECKING:
    from inventory import Inventory
    from workloads import console, worker
    from workloads.experiment import Request
    from workloads.md_raid import configure, drill, plan, prove, run, topology
    from workloads.md_raid import context as contexts
else:
    console, worker = lazy_import("workloads.console"), lazy_import("workloads.worker")
    names = ("configure", "drill", "plan", "prove", "run", "topology", "context")
    configure, drill, plan, prove, run, topology, contexts = (lazy_import(f"{__package__}.{name}") for name in names)


def describe_plan(found: plan.Plan) -> list[str]:
    """Describes what a plan measures, and for how long."""
    sets = len(found.stripes) + found.mirrors + len(found.raw)
    cells = sets * len(found.patterns)
    seconds = found.warmup_seconds + found.measured_seconds
    patterns = " and ".join(pattern.name for pattern in found.patterns)
    # The time until every mirror has noticed a kill is unknown beforehand.
    least = found.drill.steady_seconds + 2 * found.drill.after_seconds
    return [
        f"{found.name}: {cells} cells of {seconds:g} s ({sets} sets of devices, {patterns}), "
        f"{console.duration_words(cells * seconds)} of reading",
        f"the drill: at least {console.duration_words(least)} of reads, "
        f"{console.si_bytes(2 * found.drill.data_bytes)} written and read back",
    ]


def check(inventory: Inventory, request: Request) -> None:
    """Refuses an inventory that is not md-raid's, and a plan that asks for more mirrors than it has."""
    found = topology.Topology.of(inventory)
    if request.plan is not None:
        plan.check(request.plan, found)


EXPERIMENT = Experiment(
    name="md-raid",
    scripts=Path(__file__).parent / "scripts",
    plan=PlanFormat(lambda which: plan.load(which), describe_plan),
    prepare=lambda: worker.Worker.load(),
    check=check,
    make_context=lambda deployment, _: contexts.Context.of(deployment),
    stages=(
        Stage(
            "configure",
            "Set up volumes, targets, mirrors, stripe.\n\nA second run changes nothing and says so.",
            lambda context, _: configure.configure_and_record(context),
            takes_plan=False,
        ),
        Stage(
            "prove",
            "Prove MTU, hosts' limits, closed ports.",
            lambda context, _: prove.prove(context),
            results="newest",
            takes_plan=False,
        ),
        Stage(
            "run",
            "Measure stripes, a mirror, and raw disks.\n\n"
            "Reads, in MiB/s and operations a second. `fab md-raid.plan` shows the cells and their "
            "seconds.",
            lambda context, found: run.run(context, found),
            results="new",
        ),
        Stage(
            "drill",
            "Kill two servers while reads go on.\n\nChecks the data, and waits until every mirror is rebuilt.",
            lambda context, found: drill.drill(context, found),
            results="newest",
        ),
    ),
    all_help="Configure, prove, run, drill, report.",
)
