"""Moves the address between hosts, and measures each move as a client and by the API; undoes a move to a host that does
not answer.
"""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from inventory import Host, Inventory
from workloads.deployment import latest, recorded
from workloads.eip_region.address import PendingMove
from workloads.eip_region.context import Context
from workloads.eip_region.probe import Probe, Prober, answers_of
from workloads.errors import WorkloadError
from workloads.experiment import Request
from workloads.run_stages import connected_context

MOST_TIMES = 1000
# Answers of the current holder that are needed before a move: a single one may be a coincidence.
STEADY_ANSWERS = 2


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
    holder = settle(context, to)
    if to is not None and holder.name == to.name and times == 1:
        context.console.say("remap", f"{to.name} has {context.address.name} already; nothing changed")
        return []
    target = to if to is not None and to.name != holder.name else context.other_than(holder)
    made: list[dict[str, Any]] = []
    for number in range(1, times + 1):
        before = time.monotonic()
        with context.console.under_way("remap", f"{number} of {times}: {holder.name} → {target.name}"):
            made.append(move(context, holder, target))
        tell(context, made[-1])
        context.results.step(f"remap to {target.name}", time.monotonic() - before, 1)
        holder, target = target, holder
    return made


def move(context: Context, source: Host, target: Host) -> dict[str, Any]:
    """Moves the address, and returns the record of the move: times are in Unix seconds of this machine's clock, None is
    what did not happen. When `target` does not answer, gives the address back to `source` and raises WorkloadError.
    """
    with context.prober() as prober:
        _await_steady(context, prober, source)
        # Without a random wait, calls and connections could be synchronised.
        delay_s = random.uniform(0, context.pace.interval_seconds)
        time.sleep(delay_s)
        context.address.journal.begin(source.name, target.name)
        prober.moved()
        asked = context.address.give_to(target)
        shown = context.address.await_shown(target, context.plan.answer_seconds)
        confirmed = _await_answers(context, prober, target, asked.asked_unix_s)
        answers_again = confirmed is None and _take_back(context, prober, source)
        time.sleep(context.pace.interval_seconds)  # for the last connections to the old host
    reason = None if confirmed is not None else f"{target.name} did not answer for {context.plan.answer_seconds:g} s"
    context.moves += 1
    for probe in prober.probes:
        context.results.append("probes", {"move": context.moves, **asdict(probe)})
    made = {
        "move": context.moves,
        "source": source.name,
        "target": target.name,
        "source_zone": source.zone,
        "target_zone": target.zone,
        "delay_s": delay_s,
        "interval_s": context.pace.interval_seconds,
        "asked_unix_s": asked.asked_unix_s,
        "answered_unix_s": asked.answered_unix_s,
        "shown_unix_s": shown,
        "confirmed_unix_s": confirmed,
        "rolled_back": confirmed is None,
        "reason": reason,
    }
    context.results.append("moves", made)
    if confirmed is None and not answers_again:
        raise WorkloadError(
            f"{target.name} does not answer at {context.address.name}, nor does {source.name}, to which it was given "
            "back",
            f"{_where_to_look(context)}; then run the task again",
        )
    context.address.journal.end()
    if confirmed is None:
        raise WorkloadError(
            f"it does not answer at {context.address.name} {context.plan.answer_seconds:g} s after it got the "
            f"address, which was moved back to {source.name}; that answers again",
            f"{_where_to_look(context)}; then run the task again",
            target.name,
        )
    return made


def _await_steady(context: Context, prober: Prober, source: Host) -> None:
    """Waits until the host that has the address has answered steadily."""
    if not prober.wait_for_answers(source.name, context.plan.answer_seconds):
        raise no_answer(context, source, prober.probes)
    since = time.time()
    limit = context.plan.before_seconds + context.pace.connection_seconds + context.plan.answer_seconds
    steady = prober.wait_for(
        lambda probes: (
            time.time() - since >= context.plan.before_seconds
            and len(answers_of(probes, source.name, since)) >= STEADY_ANSWERS
        ),
        limit,
    )
    if not steady:
        raise no_answer(context, source, prober.probes)


def no_answer(context: Context, host: Host, probes: list[Probe]) -> WorkloadError:
    """Returns the error of a host that has the address and does not answer."""
    last = max((probe for probe in probes if probe.host != host.name), key=lambda p: p.ended_unix_s, default=None)
    seen = "no connection has ended" if last is None else last.fault or f"{last.host} answers"
    return WorkloadError(
        f"it has {context.address.name} and does not answer at port 22 ({seen})",
        _where_to_look(context),
        host.name,
    )


def _where_to_look(context: Context) -> str:
    """Returns what to check about a host that does not answer. A person's own inventory has no stack and no setting."""
    if context.inventory.rehearsal:
        return "see `fab lab.status` and the region's log"
    return "see whether it runs, and whether its security group lets this machine in at port 22"


def _await_answers(context: Context, prober: Prober, host: Host, since_unix_s: float) -> float | None:
    """Returns when the host had answered often enough; None: it did not."""
    needed = context.plan.confirmations
    if not prober.wait_for_answers(host.name, context.plan.answer_seconds, since_unix_s):
        return None
    limit = context.plan.answer_seconds + needed * context.pace.interval_seconds
    if not prober.wait_for_answers(host.name, limit, since_unix_s, needed):
        return None
    return time.time()


def _take_back(context: Context, prober: Prober, source: Host) -> bool:
    """Gives the address back; returns whether its former host answers again."""
    context.console.say("remap", f"no answer: giving {context.address.name} back to {source.name}")
    prober.moved()
    asked = context.address.give_to(source)
    return _await_answers(context, prober, source, asked.asked_unix_s) is not None


def tell(context: Context, made: Mapping[str, Any]) -> None:
    """Prints a line about a move."""
    asked, shown = made["asked_unix_s"], made["shown_unix_s"]
    shown_words = "not shown" if shown is None else f"shown after {shown - asked:.2f} s"
    context.console.say(
        "remap",
        f"{made['move']:>3}  {made['source']} ({made['source_zone']}) → {made['target']} ({made['target_zone']}): "
        f"EC2 answered in {(made['answered_unix_s'] - asked) * 1000:.0f} ms, {shown_words}",
    )


def settle(context: Context, to: Host | None) -> Host:
    """Completes or undoes a move that another run left pending; gives the address to a host when none has it. Returns
    the holder.
    """
    pending = context.address.journal.pending()
    holder = context.address.holder()
    if pending is not None:
        holder = _resolve(context, pending, holder)
    if holder is None:
        holder = context.inventory.hosts[0] if to is None else context.other_than(to)
        context.console.say("remap", f"no host has {context.address.name}: {holder.name} gets it first")
        context.address.give_to(holder)
        context.address.await_shown(holder, context.plan.answer_seconds)
    return holder


def _resolve(context: Context, pending: PendingMove, holder: Host | None) -> Host:
    """Resolves a pending move: the holder keeps the address if it answers; else the source gets it back."""
    source = context.inventory.host(pending.source)
    now, gets = holder or source, "has" if holder else "gets"
    context.console.say("remap", f"a move from {source.name} at {pending.since} was cut short; {now.name} {gets} it")
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
    context.address.journal.end()
    return now


def check_zones(inventory: Inventory) -> None:
    """Raises WorkloadError where all hosts share a zone: the question is whether the address leaves it."""
    zones = {host.zone for host in inventory.hosts}
    if len(zones) < 2:
        raise WorkloadError(f"all hosts are in {zones.pop()}", "a move across zones needs hosts in two")
