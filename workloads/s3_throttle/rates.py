"""A sync's rate, from what the interface counted: the tasks need the free one to know what the others' targets are."""

from __future__ import annotations

from collections.abc import Sequence

# What the CLI says before and after the objects: a look at the bucket, the last answers.
MARGIN_BYTES = 8192


def transfer_seconds(t: Sequence[float], tx: Sequence[int]) -> float | None:
    """How long the interface took for what it sent but for a margin at both ends; None when that is nothing."""
    if len(t) < 2 or tx[-1] - tx[0] <= 4 * MARGIN_BYTES:
        return None
    start = max(at for at, sent in zip(t, tx, strict=True) if sent - tx[0] <= MARGIN_BYTES)
    end = min(at for at, sent in zip(t, tx, strict=True) if tx[-1] - sent <= MARGIN_BYTES)
    return end - start if end > start else None


def payload_rate(t: Sequence[float], tx: Sequence[int], payload_bytes: int) -> float | None:
    """Bytes of objects a second, while they were on their way. None: nothing was."""
    seconds = transfer_seconds(t, tx)
    if seconds is None:
        return None
    sent = tx[-1] - tx[0]
    return payload_bytes * (1 - 2 * MARGIN_BYTES / sent) / seconds
