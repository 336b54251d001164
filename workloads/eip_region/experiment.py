"""The declaration of eip-region for fabfile.py."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from workloads.experiment import INVENTORY, PLAN, REQUIRED, STACK, Experiment, Option, PlanFormat, Stage, Task
from workloads.lazy_import import lazy_import

if TYPE_CHECKING:
    from inventory import Inventory
    from workloads import console
    from workloads.eip_region import address, plan, prove, remap
    from workloads.eip_region import context as contexts
    from workloads.experiment import Request
else:
    console = lazy_import("workloads.console")
    names = ("address", "plan", "prove", "remap", "context")
    address, plan, prove, remap, contexts = (lazy_import(f"{__package__}.{name}") for name in names)

OVERHEAD_SECONDS = 2  # of a move: until the new host has answered often enough


def describe_plan(found: plan.Plan) -> list[str]:
    """Describes what a plan measures, and for how long."""
    lines = []
    for where, pace in (("on AWS", found.aws), ("in a rehearsal", found.rehearsal)):
        seconds = pace.settle_seconds + found.moves * (
            found.before_seconds + found.confirmations * pace.interval_seconds + OVERHEAD_SECONDS
        )
        lines.append(
            f"{found.name}: {found.moves} moves, a connection each {pace.interval_seconds * 1000:g} ms {where}: "
            f"{console.duration_words(seconds)}"
        )
    return [*lines, f"a move is taken back when the new host does not answer for {found.answer_seconds:g} s"]


def check(inventory: Inventory, request: Request) -> None:
    """Refuses an inventory without an address to move; for `all`, one whose hosts share a zone."""
    address.elastic_ip_of(inventory)
    if request.task == "all":
        remap.check_zones(inventory)


EXPERIMENT = Experiment(
    name="eip-region",
    scripts=Path(__file__).parent / "scripts",
    plan=PlanFormat(lambda which: plan.Plan.load(which), describe_plan),
    check=check,
    connect=lambda request: contexts.connect(request),
    stages=(
        Stage(
            "prove",
            "Ask for an address of another region.\n\n"
            "Allocates an address in another region, asks for it in this one, and releases it.",
            lambda context, _: prove.prove(context),
            "newest",
        ),
        Stage("moves", "", lambda context, found: remap.remap(context, None, found.moves)),
    ),
    tasks=(
        Task(
            "remap",
            "Move the address while a client connects.\n\n"
            "Moves it back if the host does not answer. Interruptions are in seconds.",
            lambda request: remap.remap_task(request),
            options=(
                Option("to", "the name of the host that gets the address", REQUIRED),
                Option("times", "how many moves in all: to that host, back, and so on (default: 1)"),
                STACK,
                INVENTORY,
                PLAN,
            ),
            common=False,
        ),
    ),
    all_help="Prove, move, collect logs, and report.",
    collect=lambda context: contexts.collect(context),
)
