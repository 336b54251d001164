"""eip-region's tables: the refusal, each move, and all moves together."""

from __future__ import annotations

from collections.abc import Sequence

from report.eip_region.schema import Attempts, Distribution, MoveFigures, Refusal, Remap
from report.format import MISSING, figure, formatted, seconds
from report.table import Cell, NumberColumn, Table, TextColumn

PROOFS = {"cross-region-refused": "an allocation of another region cannot be associated here"}
# A longer table can't be read; summary.json has all moves.
ROWS_MAX = 40
_DISTRIBUTIONS = {
    "tcp_interruption_s": "interruption for TCP: until a connection is there",
    "interruption_s": "interruption for SSH: until the host has proved its key",
    "tcp_silence_s": "TCP: from the old host's last connection to the new one's first",
    "silence_s": "SSH: from the old host's last answer to the new one's first",
    "tcp_usual_silence_s": "TCP: usually between two connections, before the call",
    "usual_silence_s": "SSH: usually between two answers, before the call",
    "first_new_connection_s": "from the call to the new host's first connection",
    "first_new_answer_s": "from the call to the new host's first answer",
    "api_answered_s": "from the call to the API's answer",
    "api_shown_s": "from the call until DescribeAddresses shows it",
}


def refusal_table(refusal: Refusal) -> Table:
    columns: list[TextColumn[tuple[str, Attempts]]] = [
        TextColumn("allocation", lambda row: f"of {row[1].allocation_region}, {row[0]}"),
        TextColumn("id", lambda row: row[1].allocation_id),
        NumberColumn("attempts", lambda row: figure(row[1].attempts)),
        NumberColumn("age at the last", lambda row: seconds(row[1].oldest_age_s)),
        TextColumn("the API's answer", lambda row: ", then ".join(row[1].codes)),
    ]
    rows = [
        (where, attempts)
        for where, attempts in (("another region", refusal.foreign), ("the region itself", refusal.own))
        if attempts is not None
    ]
    note = (
        "The same call with two allocations. The code of the refusal is also that of an allocation that is seconds old "
        "and not known everywhere yet: so it was asked for again until it was older than that."
    )
    return Table.of(f"AssociateAddress in {refusal.asked_region}", columns, rows, note, name="refusal")


def distribution_table(remap: Remap) -> Table:
    columns: list[TextColumn[tuple[str, Distribution]]] = [
        TextColumn("seconds", lambda row: row[0]),
        NumberColumn("moves", lambda row: figure(row[1].count) if row[1].count else MISSING),
        NumberColumn("least", lambda row: seconds(row[1].min)),
        NumberColumn("median", lambda row: seconds(row[1].median)),
        NumberColumn("90th percentile", lambda row: seconds(row[1].p90)),
        NumberColumn("most", lambda row: seconds(row[1].max)),
    ]
    note = (
        f"At most one new connection each {seconds(remap.interval_s)}; whose a connection is shows its key, later. The "
        "interruption is the silence less the usual time between two; it is known to about that."
    )
    rows = [(label, getattr(remap, name)) for name, label in _DISTRIBUTIONS.items()]
    return Table.of("Moves together", columns, rows, note, name="moves-together")


def moves_table(moves: Sequence[MoveFigures]) -> Table:
    columns: list[TextColumn[MoveFigures]] = [
        NumberColumn("move", lambda move: figure(move.move)),
        TextColumn("from", lambda move: f"{move.source} ({move.source_zone})"),
        TextColumn("to", lambda move: f"{move.target} ({move.target_zone})"),
        NumberColumn("API answered", lambda move: seconds(move.api_answered_s)),
        NumberColumn("API shows it", lambda move: seconds(move.api_shown_s)),
        NumberColumn("old host's last answer", lambda move: formatted(move.last_old_answer_s, "{:+.2f} s")),
        NumberColumn("new host's first answer", lambda move: formatted(move.first_new_answer_s, "{:+.2f} s")),
        NumberColumn("interruption, TCP", lambda move: seconds(move.tcp_interruption_s)),
        NumberColumn("SSH", lambda move: seconds(move.interruption_s)),
        NumberColumn("unanswered", lambda move: f"{move.unanswered} of {move.connections}"),
        TextColumn("outcome", _outcome),
    ]
    note = "Seconds after the call; before it where negative."
    if len(moves) > ROWS_MAX:
        note += f" The first {ROWS_MAX} of {len(moves)}; summary.json has all."
    return Table.of("Each move", columns, moves[:ROWS_MAX], note, name="moves")


def _outcome(move: MoveFigures) -> Cell:
    return Cell(f"taken back: {move.reason or MISSING}", "bad") if move.rolled_back else Cell("moved", "good")
