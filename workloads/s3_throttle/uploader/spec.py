"""What a sync is to be, as the tasks say it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Spec:
    """One sync of the first `objects` files of the pool. None in a cap: it is not used. Nothing here is secret.

    `endpoint` is the URL of S3, None for AWS's own; `address` is the host's, on the interface that is watched;
    `tc_bytes_per_s` is of the wire, headers included, as tc counts; all other rates are of what TCP carries.
    `memory_ahead_mib` is how much memory the CLI takes before it starts (memory.py).
    """

    aws: str
    pool: str
    folder: str
    objects: int
    bucket: str
    prefix: str
    region: str
    endpoint: str | None
    address: str
    limit_s: float
    rate_bytes_per_s: int | None = None
    stop_s: float | None = None
    run_s: float | None = None
    max_bandwidth_kib_per_s: int | None = None
    tc_bytes_per_s: int | None = None
    memory_ahead_mib: int = 0

    @property
    def throttled(self) -> bool:
        """Whether the throttle holds it."""
        return self.rate_bytes_per_s is not None or self.stop_s is not None

    def to_json(self) -> str:
        """As from_json takes it."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Spec:
        """Raises TypeError for a field too many or too few."""
        return cls(**json.loads(text))
