"""raw/moves.ndjson and raw/probes.ndjson: each move as the API told it and as the connections saw it."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from report.eip_region.schema import Connection, Distribution, MoveFigures, Remap
from report.runs import Record, RecordError, Run, number, number_or_none, text, whole


@dataclass(frozen=True)
class _Probe:
    started_unix_s: float
    connected_unix_s: float | None
    ended_unix_s: float
    host: str | None


def read_moves(run: Run) -> tuple[list[MoveFigures], list[Connection]]:
    """In order."""
    if not run.has_stream("moves"):
        run.problem("raw/moves.ndjson is missing: the address was not moved")
        return [], []
    probes = _probes(run)
    moves: list[MoveFigures] = []
    connections: list[Connection] = []
    for record in run.stream("moves"):
        try:
            of_it = probes.get(whole(record, "move"), [])
            moves.append(_figures(record, of_it))
            connections += _connections(record, of_it)
        except RecordError as error:
            run.problem(f"raw/moves.ndjson: a record left out: {error}")
    return moves, connections


def _probes(run: Run) -> dict[int, list[_Probe]]:
    """By move, in the order of their ends: an answer is known when it is there."""
    found: dict[int, list[_Probe]] = {}
    if not run.has_stream("probes"):
        run.problem("raw/probes.ndjson is missing: what a client saw is not known")
        return found
    for record in run.stream("probes"):
        try:
            host = None if record.get("host") is None else text(record, "host")
            connected = number_or_none(record, "connected_unix_s")
            probe = _Probe(number(record, "started_unix_s"), connected, number(record, "ended_unix_s"), host)
            found.setdefault(whole(record, "move"), []).append(probe)
        except RecordError as error:
            run.problem(f"raw/probes.ndjson: a record left out: {error}")
    for probes in found.values():
        probes.sort(key=lambda probe: probe.ended_unix_s)
    return found


@dataclass(frozen=True)
class _Silence:
    """From the old host's last sign to the new one's first, Unix seconds; `usual_s` is between two before the call."""

    last_old: float | None
    first_new: float | None
    usual_s: float | None

    @property
    def seconds(self) -> float | None:
        return None if self.first_new is None or self.last_old is None else self.first_new - self.last_old

    @property
    def interruption_s(self) -> float | None:
        silence = self.seconds
        return None if silence is None or self.usual_s is None else max(0.0, silence - self.usual_s)


def _times(probes: Sequence[_Probe], host: str, *, tcp: bool = False) -> list[float]:
    """When the host's answers were there, or for TCP its connections: a key has told later whose each was."""
    times = [probe.connected_unix_s if tcp else probe.ended_unix_s for probe in probes if probe.host == host]
    return sorted(time for time in times if time is not None)


def _silence(asked: float, old: Sequence[float], new: Sequence[float]) -> _Silence:
    first_new = min((t for t in new if t >= asked), default=None)
    # After a move that was taken back the old host answers again: that is another time.
    last_old = None if first_new is None else max((t for t in old if t <= first_new), default=None)
    steady = [t for t in old if t < asked]
    usual = statistics.median([b - a for a, b in pairwise(steady)]) if len(steady) > 1 else None
    return _Silence(last_old, first_new, usual)


def _figures(record: Record, probes: Sequence[_Probe]) -> MoveFigures:
    asked = number(record, "asked_unix_s")
    source, target = text(record, "source"), text(record, "target")
    source_zone, target_zone = text(record, "source_zone"), text(record, "target_zone")
    ssh = _silence(asked, _times(probes, source), _times(probes, target))
    tcp = _silence(asked, _times(probes, source, tcp=True), _times(probes, target, tcp=True))
    last_old, first_new = ssh.last_old, ssh.first_new
    between = [
        probe.ended_unix_s - probe.started_unix_s
        for probe in probes
        if last_old is not None
        and first_new is not None
        and last_old <= probe.started_unix_s <= first_new
        and probe.host is not None
    ]
    shown = number_or_none(record, "shown_unix_s")
    return MoveFigures(
        move=whole(record, "move"),
        source=source,
        target=target,
        source_zone=source_zone,
        target_zone=target_zone,
        across_zones=source_zone != target_zone,
        rolled_back=record.get("rolled_back") is True,
        reason=None if record.get("reason") is None else text(record, "reason"),
        interval_s=number(record, "interval_s"),
        api_answered_s=number(record, "answered_unix_s") - asked,
        api_shown_s=None if shown is None else shown - asked,
        last_old_answer_s=None if last_old is None else last_old - asked,
        first_new_answer_s=None if first_new is None else first_new - asked,
        silence_s=ssh.seconds,
        usual_silence_s=ssh.usual_s,
        interruption_s=ssh.interruption_s,
        first_new_connection_s=None if tcp.first_new is None else tcp.first_new - asked,
        tcp_silence_s=tcp.seconds,
        tcp_usual_silence_s=tcp.usual_s,
        tcp_interruption_s=tcp.interruption_s,
        connections=len(probes),
        unanswered=sum(probe.host is None for probe in probes),
        slowest_answer_s=max(between, default=None),
    )


def _connections(record: Record, probes: Sequence[_Probe]) -> list[Connection]:
    asked = number(record, "asked_unix_s")
    names = {text(record, "source"): "source", text(record, "target"): "target"}
    return [
        Connection(
            whole(record, "move"),
            probe.started_unix_s - asked,
            probe.ended_unix_s - asked,
            None if probe.host is None else names.get(probe.host),
        )
        for probe in probes
    ]


def remap_of(moves: Sequence[MoveFigures]) -> Remap:
    """All moves together."""
    done = [move for move in moves if not move.rolled_back and move.first_new_answer_s is not None]
    intervals = {move.interval_s for move in moves}
    return Remap(
        moves=len(moves),
        completed=len(done),
        rolled_back=sum(move.rolled_back for move in moves),
        across_zones=sum(move.across_zones for move in done),
        zones=len({move.target_zone for move in done}),
        interval_s=intervals.pop() if len(intervals) == 1 else None,
        interruption_s=distribution(move.interruption_s for move in done),
        silence_s=distribution(move.silence_s for move in done),
        usual_silence_s=distribution(move.usual_silence_s for move in done),
        first_new_answer_s=distribution(move.first_new_answer_s for move in done),
        tcp_interruption_s=distribution(move.tcp_interruption_s for move in done),
        tcp_silence_s=distribution(move.tcp_silence_s for move in done),
        tcp_usual_silence_s=distribution(move.tcp_usual_silence_s for move in done),
        first_new_connection_s=distribution(move.first_new_connection_s for move in done),
        api_answered_s=distribution(move.api_answered_s for move in done),
        api_shown_s=distribution(move.api_shown_s for move in done),
        unanswered=sum(move.unanswered for move in moves),
    )


def distribution(values: Iterable[float | None]) -> Distribution:
    """Of those that are known."""
    known = sorted(value for value in values if value is not None)
    if not known:
        return Distribution(0, None, None, None, None)
    return Distribution(len(known), known[0], _rank(known, 0.5), _rank(known, 0.9), known[-1])


def _rank(ordered: Sequence[float], share: float) -> float:
    """Nearest rank: a value that was measured."""
    return ordered[max(0, math.ceil(len(ordered) * share) - 1)]
