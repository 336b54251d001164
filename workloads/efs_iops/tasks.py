"""efs-iops' tasks, as fabfile.py offers them: inventory in, connections made, results written."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from inventory import Inventory
from workloads import deployment, sources
from workloads.console import Console, duration_words
from workloads.deployment import existing, local_versions, recorded
from workloads.efs_iops import plan as plans
from workloads.efs_iops.clocks import Clocks
from workloads.efs_iops.configure import configure as configure_clients
from workloads.efs_iops.context import Context, file_system_of
from workloads.efs_iops.metering import read_metrics
from workloads.efs_iops.run import IncompleteError, one_writer
from workloads.efs_iops.run import run as run_cells
from workloads.efs_iops.settings import SCRIPTS
from workloads.efs_iops.sources import sampling
from workloads.logs import collect_logs
from workloads.results import Results
from workloads.user_path import output_path
from workloads.worker import Worker

SERVICE_MODEL = "service-model.json"
"""What a rehearsal's file system holds to: copied into the results, for the report to compare with; not read here."""
BASE_SECONDS = 5  # seconds of which some may be spoilt by others on the machine
OVERHEAD_SECONDS = 1  # of a cell: between the end of one and the start of the next


@contextmanager
def connected(inventory: Inventory, console: Console) -> Iterator[Context]:
    """Connections to the inventory's hosts, closed at the end."""
    with deployment.connected(inventory, console) as found:
        yield Context.of(found)


def prepared(stack: str | None, file: str | None, plan_name: str | None) -> tuple[Inventory, plans.Plan]:
    """Inventory, plan and worker, looked at before any host is touched."""
    plan = plans.load(plan_name)
    Worker.load()
    inventory = sources.load(stack, file)
    file_system_of(inventory)
    plans.check(plan, len(inventory.hosts_in("client")))
    return inventory, plan


def show_plan(name: str | None) -> None:
    """`fab efs-iops.plan`: reads a plan, and says what it measures and for how long."""
    plan = plans.load(name)
    cells = plans.cells(plan)
    seconds = sum(cell.seconds + OVERHEAD_SECONDS for cell in cells)
    lengths = " or ".join(str(each) for each in sorted({cell.seconds for cell in cells}))
    sizes = ", ".join(str(size) for size in sorted({cell.request_bytes for cell in cells}))
    writers = ", ".join(str(count) for count in sorted({cell.writers for cell in cells}))
    console = Console()
    console.say("plan", f"{plan.name}: {len(cells)} cells of {lengths} s, {duration_words(seconds)} in all")
    console.say("plan", f"operations of {sizes} bytes by {writers} writers on each of up to {plan.clients} clients")


def configure(stack: str | None, file: str | None, plan_name: str | None, *, tls: bool) -> None:
    """`fab efs-iops.configure`."""
    inventory, plan = prepared(stack, file, plan_name)
    with connected(inventory, Console()) as context:
        configure_clients(context, plan, tls=tls)


def run(stack: str | None, file: str | None, plan_name: str | None, *, tls: bool) -> Path:
    """`fab efs-iops.run`: a new run, from the mounts to CloudWatch's word; the directory of the results."""
    inventory, plan = prepared(stack, file, plan_name)
    with connected(inventory, Console()) as context:
        return measured(context, plan, tls=tls, logs=False)


def all_(stack: str | None, file: str | None, plan_name: str | None, *, tls: bool) -> Path:
    """`fab efs-iops.all`, up to the report; the directory of the results."""
    inventory, plan = prepared(stack, file, plan_name)
    with connected(inventory, Console()) as context:
        return measured(context, plan, tls=tls, logs=True)


def measured(context: Context, plan: plans.Plan, *, tls: bool, logs: bool) -> Path:
    """A run, written to new results. Cells that are not complete fail it at the end, when all else is known."""
    results = Results.start(context.inventory, plan=plan.to_dict(), versions=local_versions())
    with recorded(context, results):
        copy_service_model(context, results)
        configure_clients(context, plan, tls=tls)
        incomplete: IncompleteError | None = None
        try:
            window = run_cells(context, plan)
        except IncompleteError as fault:
            incomplete, window = fault, fault.window
        read_metrics(context, window)
        if incomplete is not None:
            raise incomplete
        if logs:
            collect_logs(context, SCRIPTS)
    return results.directory


def copy_service_model(context: Context, results: Results) -> None:
    """Takes the rehearsal's own description of its file system into the results."""
    path = sources.lab_dir() / SERVICE_MODEL
    if context.inventory.rehearsal and path.is_file():
        results.write_file(SERVICE_MODEL, path.read_bytes())


def collect(stack: str | None, file: str | None) -> None:
    """`fab efs-iops.collect`."""
    inventory = sources.load(stack, file)
    with connected(inventory, Console()) as context:
        context.results = existing(context)
        collect_logs(context, SCRIPTS)


def base(stack: str | None, file: str | None, output: str) -> None:
    """`fab efs-iops.base`: what an operation of one writer takes now, written to `output` as JSON, by operation.

    A rehearsal asks before its service model is in force: what the model adds is compared with this. The clients are
    sampled as they are in a run, since that takes them some of their time; nothing goes to the results.
    """
    path = output_path(output)
    inventory, plan = prepared(stack, file, None)
    with connected(inventory, Console()) as context:
        configure_clients(context, plan)
        clocks = Clocks(context)
        clocks.measure()
        with sampling(context, clocks):
            seconds = {each: one_writer(context, BASE_SECONDS, each, clocks) for each in plans.OPERATIONS}
        for operation, each in seconds.items():
            context.console.say("base", f"one {operation} of one byte by one writer takes {each * 1000:.2f} ms")
    path.write_text(json.dumps(seconds) + "\n", encoding="utf-8")
