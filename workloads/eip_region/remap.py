"""Moving the address between hosts, once or often."""

from __future__ import annotations

import time

from inventory import Host
from workloads.eip_region.context import Context
from workloads.eip_region.move import Move, move, nobody
from workloads.eip_region.probe import answers_of
from workloads.eip_region.unfinished import Unfinished
from workloads.errors import WorkloadError


def remap(context: Context, to: Host | None, times: int) -> list[Move]:
    """Move the address to `to` (None: from where it is to another zone), and back and there again, `times` moves in
    all. One move to a host that has it already is none. Whoever calls this is alone with the address (unfinished.py).
    """
    unfinished = Unfinished(context.address.elastic_ip.id)
    holder = settle(context, unfinished, to)
    if to is not None and holder.name == to.name and times == 1:
        context.console.say("remap", f"{to.name} has {context.address.name} already; nothing changed")
        return []
    target = to if to is not None and to.name != holder.name else context.other_than(holder)
    made: list[Move] = []
    for number in range(1, times + 1):
        before = time.monotonic()
        with context.console.under_way("remap", f"{number} of {times}: {holder.name} → {target.name}"):
            made.append(move(context, holder, target, unfinished))
        tell(context, made[-1])
        context.results.step(f"remap to {target.name}", time.monotonic() - before, 1)
        holder, target = target, holder
    return made


def tell(context: Context, made: Move) -> None:
    """One line of a move."""
    shown = "not shown" if made.shown_unix_s is None else f"shown after {made.shown_unix_s - made.asked_unix_s:.2f} s"
    context.console.say(
        "remap",
        f"{made.move:>3}  {made.source} ({made.source_zone}) → {made.target} ({made.target_zone}): EC2 answered in "
        f"{(made.answered_unix_s - made.asked_unix_s) * 1000:.0f} ms, {shown}",
    )


def settle(context: Context, unfinished: Unfinished, to: Host | None) -> Host:
    """The host that has the address; given to one where nobody has it, and put right where another run was cut short
    in the middle of a move.
    """
    begun = unfinished.begun()
    holder = context.address.holder()
    if begun is not None:
        holder = _put_right(context, unfinished, context.host(begun.source), holder, begun.since)
    if holder is None:
        holder = context.inventory.hosts[0] if to is None else context.other_than(to)
        context.console.say("remap", f"nobody has {context.address.name}: {holder.name} gets it first")
        context.address.give_to(holder)
        context.address.await_shown(holder, context.plan.answer_seconds)
    return holder


def _put_right(context: Context, unfinished: Unfinished, source: Host, holder: Host | None, since: str) -> Host:
    """The holder, if it answers; else the address goes back to where it came from."""
    now = holder or source
    context.console.say(
        "remap", f"a move from {source.name} at {since} was cut short; {now.name} {'has' if holder else 'gets'} it"
    )
    if holder is None:
        context.address.give_to(source)
    with context.prober() as prober:
        if prober.wait_for(lambda probes: bool(answers_of(probes, now.name)), context.plan.answer_seconds):
            context.console.say("remap", f"{now.name} answers at {context.address.name}: the move has ended")
        elif now.name == source.name:
            raise nobody(context, source, prober.probes)
        else:
            asked = context.address.give_to(source)
            if not prober.wait_for(
                lambda probes: bool(answers_of(probes, source.name, asked.asked_unix_s)), context.plan.answer_seconds
            ):
                raise nobody(context, source, prober.probes)
            context.console.say("remap", f"{now.name} does not answer: moved back to {source.name}, which does")
            now = source
    unfinished.end()
    return now


def refuse_without_two_zones(context: Context) -> None:
    """Raises WorkloadError where the hosts share a zone: what is asked is whether the address leaves it."""
    zones = {host.zone for host in context.inventory.hosts}
    if len(zones) < 2:
        raise WorkloadError(f"all hosts are in {zones.pop()}", "a move across zones needs hosts in two")
