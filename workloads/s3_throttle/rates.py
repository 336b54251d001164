"""What a sync's rate was, in bytes of objects: the tasks need the free one to know what the others' targets are."""

from __future__ import annotations

from collections.abc import Sequence

from workloads.s3_throttle.uploader.steady import Curve


def payload_rate(
    t: Sequence[float], tx: Sequence[int], from_s: float, until_s: float, payload_ratio: float
) -> float | None:
    """Bytes of objects a second between two times, when `payload_ratio` of what the interface sent were objects'. None:
    nothing was sent.
    """
    curve = Curve(t, tx)
    moved = curve.at(until_s) - curve.at(from_s)
    return moved * payload_ratio / (until_s - from_s) if moved > 0 and until_s > from_s else None
