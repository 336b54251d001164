"""raw/moves.ndjson and raw/probes.ndjson: each move as the API reported it, and as connections met it."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import get_type_hints

from report.eip_region.schema import Connection, Distribution, MoveFigures, Remap
from report.missing import known
from report.records import Record, number, number_or_none, read_as, text, whole
from report.runs import Run


@dataclass(frozen=True)
class _Probe:
    move: int
    started_unix_s: float
    connected_unix_s: float | None
    ended_unix_s: float
    host: str | None


def read_moves(run: Run) -> tuple[list[MoveFigures], list[Connection]]:
    """Reads the moves in their order, and their connections."""
    if not run.has_stream("moves", "the address was not moved"):
        return [], []
    probes = _probes(run)

    def parse(record: Record) -> tuple[MoveFigures, list[Connection]]:
        of_move = probes.get(whole(record, "move"), [])
        return _figures(record, of_move), _connections(record, of_move)

    parsed = run.read("moves", parse)
    return [move for move, _ in parsed], [each for _, connections in parsed for each in connections]


def _probes(run: Run) -> dict[int, list[_Probe]]:
    """Reads the probes of each move, in the order in which they ended."""
    found: dict[int, list[_Probe]] = {}
    if run.has_stream("probes", "what a client saw is not known"):
        for probe in sorted(run.read("probes", partial(read_as, _Probe)), key=lambda probe: probe.ended_unix_s):
            found.setdefault(probe.move, []).append(probe)
    return found


@dataclass(frozen=True)
class _Silence:
    """From the old host's last answer to the new one's first, as the figures of a move name it (schema.MoveFigures)."""

    last_old_s: float | None  # after the call, as first_new_s
    first_new_s: float | None
    seconds: float | None
    usual_s: float | None
    interruption_s: float | None


def _times(probes: Sequence[_Probe], host: str, *, tcp: bool = False) -> list[float]:
    """Returns when the host answered (or for TCP: accepted) each connection. Its key told which host it was."""
    return sorted(
        known(probe.connected_unix_s if tcp else probe.ended_unix_s for probe in probes if probe.host == host)
    )


def _silence(asked: float, old: Sequence[float], new: Sequence[float]) -> _Silence:
    first_new = min((t for t in new if t >= asked), default=None)
    # After a move that was rolled back the old host answers again: those answers are after the silence.
    last_old = None if first_new is None else max((t for t in old if t <= first_new), default=None)
    steady = [t for t in old if t < asked]
    usual = statistics.median([b - a for a, b in pairwise(steady)]) if len(steady) > 1 else None
    silence = _after(last_old, first_new)
    interruption = None if silence is None or usual is None else max(0.0, silence - usual)
    return _Silence(_after(asked, last_old), _after(asked, first_new), silence, usual, interruption)


def _after(zero: float | None, t: float | None) -> float | None:
    return None if zero is None or t is None else t - zero


def _figures(record: Record, probes: Sequence[_Probe]) -> MoveFigures:
    asked = number(record, "asked_unix_s")
    source, target = text(record, "source"), text(record, "target")
    ssh = _silence(asked, _times(probes, source), _times(probes, target))
    tcp = _silence(asked, _times(probes, source, tcp=True), _times(probes, target, tcp=True))
    return read_as(
        MoveFigures,
        record,
        across_zones=text(record, "source_zone") != text(record, "target_zone"),
        rolled_back=record.get("rolled_back") is True,
        api_answered_s=number(record, "answered_unix_s") - asked,
        api_shown_s=_after(asked, number_or_none(record, "shown_unix_s")),
        last_old_answer_s=ssh.last_old_s,
        first_new_answer_s=ssh.first_new_s,
        silence_s=ssh.seconds,
        usual_silence_s=ssh.usual_s,
        interruption_s=ssh.interruption_s,
        first_new_connection_s=tcp.first_new_s,
        tcp_silence_s=tcp.seconds,
        tcp_usual_silence_s=tcp.usual_s,
        tcp_interruption_s=tcp.interruption_s,
        connections=len(probes),
        unanswered=sum(probe.host is None for probe in probes),
    )


def _connections(record: Record, probes: Sequence[_Probe]) -> list[Connection]:
    asked = number(record, "asked_unix_s")
    names = {text(record, "source"): "source", text(record, "target"): "target"}
    return [
        Connection(
            whole(record, "move"),
            probe.ended_unix_s - asked,
            None if probe.host is None else names.get(probe.host),
        )
        for probe in probes
    ]


def remap_of(moves: Sequence[MoveFigures]) -> Remap:
    done = [move for move in moves if not move.rolled_back and move.first_new_answer_s is not None]
    intervals = {move.interval_s for move in moves}
    names = [name for name, kind in get_type_hints(Remap).items() if kind is Distribution]
    distributions = {name: distribution(getattr(move, name) for move in done) for name in names}
    return Remap(
        moves=len(moves),
        completed=len(done),
        rolled_back=sum(move.rolled_back for move in moves),
        across_zones=sum(move.across_zones for move in done),
        zones=len({move.target_zone for move in done}),
        interval_s=intervals.pop() if len(intervals) == 1 else None,
        **distributions,
        unanswered=sum(move.unanswered for move in moves),
    )


def distribution(values: Iterable[float | None]) -> Distribution:
    """Returns the distribution of those values that are known, by nearest rank."""
    ordered = sorted(known(values))
    if not ordered:
        return Distribution(0, None, None, None, None)
    return Distribution(len(ordered), ordered[0], _rank(ordered, 0.5), _rank(ordered, 0.9), ordered[-1])


def _rank(ordered: Sequence[float], share: float) -> float:
    return ordered[max(0, math.ceil(len(ordered) * share) - 1)]
