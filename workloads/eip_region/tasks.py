"""eip-region's tasks, as fabfile.py offers them: inventory in, the address moved, results written."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from inventory import Inventory
from workloads import deployment, sources
from workloads.console import Console, duration_words
from workloads.deployment import existing, latest, local_versions, recorded
from workloads.eip_region import plan as plans
from workloads.eip_region.address import elastic_ip_of
from workloads.eip_region.context import Context, await_boot, with_keys
from workloads.eip_region.prove import prove as prove_refusal
from workloads.eip_region.remap import refuse_without_two_zones
from workloads.eip_region.remap import remap as remap_address
from workloads.eip_region.settings import EXPERIMENT, SCRIPTS
from workloads.eip_region.unfinished import alone
from workloads.errors import WorkloadError
from workloads.logs import collect_logs
from workloads.results import Results

MOST_TIMES = 1000
OVERHEAD_SECONDS = 2  # of a move: until the new host has answered often enough


def prepared(stack: str | None, file: str | None, plan_name: str | None) -> tuple[Inventory, plans.Plan]:
    """Inventory and plan, looked at before anything is moved."""
    plan = plans.load(plan_name)
    inventory = sources.load(stack, file)
    elastic_ip_of(inventory)
    return inventory, plan


def show_plan(name: str | None) -> None:
    """`fab eip-region.plan`: reads a plan, and says what it measures and for how long."""
    plan = plans.load(name)
    console = Console()
    for where, pace in (("AWS", plan.aws), ("a rehearsal", plan.rehearsal)):
        seconds = pace.settle_seconds + plan.moves * (
            plan.before_seconds + plan.confirmations * pace.interval_seconds + OVERHEAD_SECONDS
        )
        console.say(
            "plan",
            f"{plan.name}: {plan.moves} moves, a connection each {pace.interval_seconds * 1000:g} ms in {where}: "
            f"{duration_words(seconds)}",
        )
    console.say("plan", f"a move is taken back when the new host does not answer for {plan.answer_seconds:g} s")


def prove(stack: str | None, file: str | None, plan_name: str | None) -> None:
    """`fab eip-region.prove`."""
    inventory, plan = prepared(stack, file, plan_name)
    with alone_with_keys(inventory, Console(), plan, "prove") as context, recorded(context, latest(context)):
        _prove(context)


def remap(stack: str | None, file: str | None, plan_name: str | None, to: str, times: int) -> None:
    """`fab eip-region.remap`."""
    if not 1 <= times <= MOST_TIMES:
        raise WorkloadError(f"--times {times} is out of range", f"allowed are 1 to {MOST_TIMES}")
    inventory, plan = prepared(stack, file, plan_name)
    with alone_with_keys(inventory, Console(), plan, "remap") as context:
        target = context.host(to)
        context.other_than(target)
        results = latest(context)
        context.moves = len(results.records("moves"))
        with recorded(context, results):
            remap_address(context, target, times)


def collect(stack: str | None, file: str | None) -> None:
    """`fab eip-region.collect`."""
    with deployment.connected(sources.load(stack, file), Console()) as found:
        found.results = existing(found)
        collect_logs(found, SCRIPTS)


def all_(stack: str | None, file: str | None, plan_name: str | None) -> Path:
    """`fab eip-region.all`, up to the report; the directory of the results."""
    inventory, plan = prepared(stack, file, plan_name)
    console = Console()
    await_boot(inventory, console)
    with alone_with_keys(inventory, console, plan, "all") as context, started(context) as results:
        refuse_without_two_zones(context)
        _prove(context)
        remap_address(context, None, plan.moves)
        with deployment.connected(inventory, console) as found:
            found.results = results
            collect_logs(found, SCRIPTS)
    return results.directory


def _prove(context: Context) -> None:
    began = time.monotonic()
    prove_refusal(context)
    if context.results is not None:
        context.results.step("prove", time.monotonic() - began, None)


@contextmanager
def alone_with_keys(inventory: Inventory, console: Console, plan: plans.Plan, task: str) -> Iterator[Context]:
    """Hosts whose keys are known, and nobody else who moves their address; before any results are touched."""
    with (
        alone(elastic_ip_of(inventory).id, f"{EXPERIMENT}.{task}"),
        with_keys(inventory, console, plan) as context,
    ):
        yield context


@contextmanager
def started(context: Context) -> Iterator[Results]:
    """New results, with the plan in them."""
    results = Results.start(context.inventory, plan=context.plan.to_dict(), versions=local_versions())
    with recorded(context, results):
        yield results
