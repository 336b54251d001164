"""A sync's rate, from what the interface counted: the tasks need the free one to know what the others' targets are."""

from __future__ import annotations

from collections.abc import Sequence

# What the CLI says before and after the objects: a look at the bucket, the last answers.
MARGIN_BYTES = 8192
# What goes at once at the beginning is no part of a rate: a staircase of n steps rises n - 1 times.
FIRST_S = 0.1


def transfer(t: Sequence[float], tx: Sequence[int]) -> tuple[float, int] | None:
    """Seconds that the interface took, and bytes that it sent in them. None: nothing.

    A margin at both ends and the first 100 ms are left out.
    """
    if len(t) < 2 or tx[-1] - tx[0] <= 4 * MARGIN_BYTES:
        return None
    start = max(at for at, sent in zip(t, tx, strict=True) if sent - tx[0] <= MARGIN_BYTES)
    end = min(at for at, sent in zip(t, tx, strict=True) if tx[-1] - sent <= MARGIN_BYTES)
    if end - start > 2 * FIRST_S:
        start = min(at for at in t if at >= start + FIRST_S)
    sent = dict(zip(t, tx, strict=True))
    return (end - start, sent[end] - sent[start]) if end > start else None


def payload_rate(t: Sequence[float], tx: Sequence[int], payload_bytes: int) -> float | None:
    """Bytes of objects a second, while they were on their way. None: nothing was."""
    found = transfer(t, tx)
    if found is None:
        return None
    seconds, sent = found
    return payload_bytes * sent / (tx[-1] - tx[0]) / seconds
