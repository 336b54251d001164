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
    from workloads.md_raid import configure, drill, example, plan, prove, run, topology
    from workloads.md_raid import context as contexts
else:
    console, worker = lazy_import("workloads.console"), lazy_import("workloads.worker")
    names = ("configure", "drill", "example", "plan", "prove", "run", "topology", "context")
    configure, drill, example, plan, prove, run, topology, contexts = (
        lazy_import(f"{__package__}.{name}") for name in names
    )


def describe_plan(found: plan.Plan) -> list[str]:
    """Describes what a plan measures with the original's hosts, and for how long."""
    original = topology.Topology.of(example.EXAMPLE)
    cells = plan.cells(found, original)
    sets = len({cell.device_set for cell in cells})
    seconds = sum(found.warmup_seconds + cell.seconds for cell in cells)
    kinds = {
        "read raw": sum(cell.layout == "raw" for cell in cells),
        "of stripes": sum(cell.layout == "stripe" and not cell.writes for cell in cells),
        "of one mirror's layouts": sum(cell.layout == "mirror" for cell in cells),
        "that write": sum(cell.writes for cell in cells),
    }
    # The time until every mirror has noticed a kill is unknown beforehand.
    servers = len(original.servers)
    least = found.drill.steady_seconds + (servers - 1) * found.drill.after_seconds
    words = ", ".join(f"{count} {kind}" for kind, count in kinds.items() if count)
    return [
        f"{found.name}, with {servers} servers: {len(cells)} cells ({words}; {sets} sets of devices), "
        f"{console.duration_words(seconds)} of measuring",
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
    plan=PlanFormat(lambda which: plan.Plan.load(which), describe_plan),
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
            "Measure stripes, raw volumes, layouts.\n\n"
            "Measures MiB/s and operations a second by number of servers and of volumes, and of one mirror in each of "
            "md's layouts; writes, too, if the plan has them. "
            "`fab md-raid.plan` shows how many cells, and for how long.",
            lambda context, found: run.run(context, found),
            results="new",
        ),
        Stage(
            "drill",
            "Kill all servers but one while reads go on.\n\nChecks the data, and waits until every mirror is rebuilt.",
            lambda context, found: drill.FailureDrill(context, found).run(),
            results="newest",
        ),
    ),
    all_help="Configure, prove, run, drill, report.",
)
