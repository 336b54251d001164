"""eip-region's tables: the refusal, each move, and all moves together."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import report.proofs
from report.eip_region.schema import Attempts, Distribution, MoveFigures, Refusal, Remap
from report.format import MISSING, figure, seconds
from report.proofs import Proofs
from report.table import Cell, Column, Table

# A run of a thousand moves has them all in summary.json.
ROWS_MAX = 40

_PROOF_WORDS = {"cross-region-refused": "an allocation of another region cannot be associated here"}


def proofs_table(proofs: Proofs) -> Table:
    return report.proofs.proofs_table(proofs, _PROOF_WORDS)


def refusal_table(refusal: Refusal) -> Table:
    rows = [
        _attempts_row(f"of {attempts.allocation_region}, {where}", attempts)
        for where, attempts in (("another region", refusal.foreign), ("the region itself", refusal.own))
        if attempts is not None
    ]
    columns = [
        Column("allocation"),
        Column("id"),
        Column("attempts", True),
        Column("age at the last", True),
        Column("the API's answer"),
    ]
    return Table(
        f"AssociateAddress in {refusal.asked_region}",
        columns,
        rows,
        "The same call with two allocations. The code of the refusal is also that of an allocation that is seconds old "
        "and not known everywhere yet: so it was asked for again until it was older than that.",
        name="refusal",
    )


def _attempts_row(words: str, attempts: Attempts) -> tuple[str, ...]:
    return (
        words,
        attempts.allocation_id,
        figure(attempts.attempts),
        seconds(attempts.oldest_age_s),
        ", then ".join(attempts.codes),
    )


def distribution_table(remap: Remap) -> Table:
    def row(words: str, of: Distribution) -> tuple[str, ...]:
        return (words, figure(of.count) if of.count else MISSING, *map(seconds, (of.min, of.median, of.p90, of.max)))

    return Table(
        "Moves together",
        [
            Column("seconds"),
            Column("moves", True),
            Column("least", True),
            Column("median", True),
            Column("90th percentile", True),
            Column("most", True),
        ],
        [
            row("interruption for TCP: until a connection is there", remap.tcp_interruption_s),
            row("interruption for SSH: until the host has proved its key", remap.interruption_s),
            row("TCP: from the old host's last connection to the new one's first", remap.tcp_silence_s),
            row("SSH: from the old host's last answer to the new one's first", remap.silence_s),
            row("TCP: usually between two connections, before the call", remap.tcp_usual_silence_s),
            row("SSH: usually between two answers, before the call", remap.usual_silence_s),
            row("from the call to the new host's first connection", remap.first_new_connection_s),
            row("from the call to the new host's first answer", remap.first_new_answer_s),
            row("from the call to the API's answer", remap.api_answered_s),
            row("from the call until DescribeAddresses shows it", remap.api_shown_s),
        ],
        f"At most one new connection each {seconds(remap.interval_s)}; whose a connection is shows its key, later. The "
        "interruption is the silence less the usual time between two; it is known to about that.",
        name="moves-together",
    )


def moves_table(moves: Sequence[MoveFigures]) -> Table:
    shown = moves[:ROWS_MAX]
    columns: list[tuple[Column, Callable[[MoveFigures], Cell | str]]] = [
        (Column("move", True), lambda m: figure(m.move)),
        (Column("from"), lambda m: f"{m.source} ({m.source_zone})"),
        (Column("to"), lambda m: f"{m.target} ({m.target_zone})"),
        (Column("API answered", True), lambda m: seconds(m.api_answered_s)),
        (Column("API shows it", True), lambda m: seconds(m.api_shown_s)),
        (Column("old host's last answer", True), lambda m: _after(m.last_old_answer_s)),
        (Column("new host's first answer", True), lambda m: _after(m.first_new_answer_s)),
        (Column("interruption, TCP", True), lambda m: seconds(m.tcp_interruption_s)),
        (Column("SSH", True), lambda m: seconds(m.interruption_s)),
        (Column("unanswered", True), lambda m: f"{m.unanswered} of {m.connections}"),
        (Column("outcome"), _outcome),
    ]
    note = "Seconds after the call; before it where negative."
    if len(moves) > ROWS_MAX:
        note += f" The first {ROWS_MAX} of {len(moves)}; summary.json has all."
    return Table(
        "Each move",
        [column for column, _ in columns],
        [[words(move) for _, words in columns] for move in shown],
        note,
        name="moves",
    )


def _outcome(move: MoveFigures) -> Cell:
    return Cell(f"taken back: {move.reason or MISSING}", "bad") if move.rolled_back else Cell("moved", "good")


def _after(value_s: float | None) -> str:
    return MISSING if value_s is None else f"{value_s:+.2f} s"
