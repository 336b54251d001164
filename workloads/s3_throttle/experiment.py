"""The declaration of s3-throttle for fabfile.py."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from workloads.experiment import Experiment, PlanFormat, Stage
from workloads.lazy_import import lazy_import

if TYPE_CHECKING:
    from workloads import console
    from workloads.s3_throttle import configure, plan, run
    from workloads.s3_throttle import context as contexts
else:
    console = lazy_import("workloads.console")
    names = ("configure", "plan", "run", "context")
    configure, plan, run, contexts = (lazy_import(f"{__package__}.{name}") for name in names)

START_SECONDS = 4  # of a cell besides its transfer: the AWS CLI's start and end


def describe_plan(found: plan.Plan) -> list[str]:
    """Describes what a plan measures, and for how long."""
    cells = plan.cells(found)
    least = sum(plan.least_seconds(found, cell) for cell in cells)
    lines = [
        f"{found.name}: {len(cells)} syncs until their means are known to {found.precision:.0%}, "
        f"{console.duration_words(least)} to {console.duration_words(len(cells) * found.most_seconds)} in all; "
        f"each takes {START_SECONDS} s more to begin and end"
    ]
    for method in plan.METHODS:
        names = [f"{cell.ratio:.0%}" for cell in cells if cell.method == method]
        if names:
            lines.append(f"{method}: {', '.join(names)} of the free rate")
    return lines


EXPERIMENT = Experiment(
    name="s3-throttle",
    scripts=Path(__file__).parent / "scripts",
    plan=PlanFormat(lambda which: plan.load(which), describe_plan),
    prepare=lambda: configure.environment_archive(configure.environment_digest()),
    check=lambda inventory, _: contexts.bucket_of(inventory),
    make_context=lambda deployment, _: contexts.Context.of(deployment),
    stages=(
        Stage(
            "configure",
            "Install AWS CLI and throttle; make files.",
            lambda context, found: configure.configure(context, found),
        ),
        Stage(
            "run",
            "Sync with each way to cap a rate.\n\n"
            "Reads the interface's counters every 20 ms (rates in MB/s); reads every object back, and "
            "deletes it.",
            lambda context, found: run.run(context, found, context.results.directory.name),
            results="new",
        ),
    ),
    all_help="Configure, run, collect logs, and report.",
    collect_after_failure=True,
)
