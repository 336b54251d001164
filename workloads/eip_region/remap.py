"""Moves the address between hosts, once or several times."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from inventory import Host, Inventory
from workloads.deployment import latest, recorded
from workloads.eip_region.context import Context
from workloads.eip_region.move import move, no_answer
from workloads.eip_region.move_journal import MoveJournal
from workloads.errors import WorkloadError
from workloads.experiment import Request
from workloads.run_stages import connected_context

MOST_TIMES = 1000


def remap_task(request: Request) -> None:
    """`fab eip-region.remap`: moves the address to --to, --times in all; adds to the newest results."""
    times = request.integer("times", 1, MOST_TIMES) or 1
    with connected_context(request) as context:
        target = context.inventory.host(request.options["to"])
        context.other_than(target)
        results = latest(context)
        context.moves = len(results.records("moves"))
        with recorded(context, results):
            remap(context, target, times)


def remap(context: Context, to: Host | None, times: int) -> list[dict[str, Any]]:
    """Moves the address to `to` (None: to another zone), then back and forth, `times` moves in all. One move to the
    current holder does nothing. The caller holds the address' lock.
    """
    journal = MoveJournal(context.address.elastic_ip.id)
    holder = settle(context, journal, to)
    if to is not None and holder.name == to.name and times == 1:
        context.console.say("remap", f"{to.name} has {context.address.name} already; nothing changed")
        return []
    target = to if to is not None and to.name != holder.name else context.other_than(holder)
    made: list[dict[str, Any]] = []
    for number in range(1, times + 1):
        before = time.monotonic()
        with context.console.under_way("remap", f"{number} of {times}: {holder.name} → {target.name}"):
            made.append(move(context, holder, target, journal))
        tell(context, made[-1])
        context.results.step(f"remap to {target.name}", time.monotonic() - before, 1)
        holder, target = target, holder
    return made


def tell(context: Context, made: Mapping[str, Any]) -> None:
    """Prints a line about a move."""
    asked, shown = made["asked_unix_s"], made["shown_unix_s"]
    shown_words = "not shown" if shown is None else f"shown after {shown - asked:.2f} s"
    context.console.say(
        "remap",
        f"{made['move']:>3}  {made['source']} ({made['source_zone']}) → {made['target']} ({made['target_zone']}): "
        f"EC2 answered in {(made['answered_unix_s'] - asked) * 1000:.0f} ms, {shown_words}",
    )


def settle(context: Context, journal: MoveJournal, to: Host | None) -> Host:
    """Completes or undoes a move that another run left pending; gives the address to a host when none has it. Returns
    the holder.
    """
    pending = journal.pending()
    holder = context.address.holder()
    if pending is not None:
        holder = _resolve(context, journal, context.inventory.host(pending.source), holder, pending.since)
    if holder is None:
        holder = context.inventory.hosts[0] if to is None else context.other_than(to)
        context.console.say("remap", f"no host has {context.address.name}: {holder.name} gets it first")
        context.address.give_to(holder)
        context.address.await_shown(holder, context.plan.answer_seconds)
    return holder


def _resolve(context: Context, journal: MoveJournal, source: Host, holder: Host | None, since: str) -> Host:
    """Resolves a pending move: the holder keeps the address if it answers; else the source gets it back."""
    now = holder or source
    context.console.say(
        "remap", f"a move from {source.name} at {since} was cut short; {now.name} {'has' if holder else 'gets'} it"
    )
    if holder is None:
        context.address.give_to(source)
    with context.prober() as prober:
        if prober.wait_for_answers(now.name, context.plan.answer_seconds):
            context.console.say("remap", f"{now.name} answers at {context.address.name}: the move has ended")
        elif now.name == source.name:
            raise no_answer(context, source, prober.probes)
        else:
            asked = context.address.give_to(source)
            if not prober.wait_for_answers(source.name, context.plan.answer_seconds, asked.asked_unix_s):
                raise no_answer(context, source, prober.probes)
            context.console.say("remap", f"{now.name} does not answer: moved back to {source.name}, which does")
            now = source
    journal.end()
    return now


def check_zones(inventory: Inventory) -> None:
    """Raises WorkloadError where all hosts share a zone: the question is whether the address leaves it."""
    zones = {host.zone for host in inventory.hosts}
    if len(zones) < 2:
        raise WorkloadError(f"all hosts are in {zones.pop()}", "a move across zones needs hosts in two")
