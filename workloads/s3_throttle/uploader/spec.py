"""The tasks' specification of a sync."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Spec:
    """One sync of `objects` files, which are the pool's first `pool_objects` over and over. None in a cap: it is not
    used. Nothing here is secret.

    `endpoint` is the URL of S3, None for AWS's own; `address` is the host's, on the interface that is watched;
    `tc_bytes_per_s` is of the wire, headers included, as tc counts; all other rates are of what TCP carries.

    With `precision_ratio` the sync is ended when the mean of its steady part (steady.py) is known to that, which takes
    `least_s` and twenty cycles, or `most_s` after its first byte; else it goes on until all is sent.
    `wire_target_bytes_per_s` is what the interface should send, headers included; `send_buffer_bytes` is the most that
    a socket may hold.
    """

    aws: str
    pool: str
    pool_objects: int
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
    precision_ratio: float | None = None
    least_s: float = 0.0
    most_s: float = 0.0
    wire_target_bytes_per_s: float | None = None
    send_buffer_bytes: int | None = None

    @property
    def cycle_s(self) -> float | None:
        """The length of a stop and a run."""
        return None if self.stop_s is None or self.run_s is None else self.stop_s + self.run_s

    @property
    def throttled(self) -> bool:
        """Whether the throttle limits it."""
        return self.rate_bytes_per_s is not None or self.stop_s is not None

    def to_json(self) -> str:
        """Returns the form that from_json reads."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Spec:
        """Reads a specification. Raises TypeError for an unknown or missing field."""
        return cls(**json.loads(text))
