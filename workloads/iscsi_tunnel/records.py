"""What is kept of an attachment, and the proofs as results hold them."""

from __future__ import annotations

import time
from typing import Any

from workloads.iscsi_tunnel.attachment import Attachment, attach, detach
from workloads.iscsi_tunnel.ends import Ends
from workloads.iscsi_tunnel.settings import LIMIT_SECONDS


def attach_recorded(ends: Ends, *, limit_seconds: int = LIMIT_SECONDS) -> Attachment:
    """Attaches, and keeps what was seen and how long it took."""
    before = time.monotonic()
    found = attach(ends, limit_seconds=limit_seconds)
    record(
        ends,
        "attached",
        seconds=round(time.monotonic() - before, 2),
        changed=found.changed,
        device=found.device,
        size_bytes=found.size_bytes,
        expected_bytes=found.volume_bytes,
        block_bytes=found.block_bytes,
        mtu_bytes=found.mtu_bytes,
    )
    return found


def detach_recorded(ends: Ends) -> int:
    """Detaches, and keeps that session, disk and tunnel were looked for and have gone."""
    before = time.monotonic()
    changed = detach(ends)
    record(ends, "detached", seconds=round(time.monotonic() - before, 2), changed=changed, gone=True)
    return changed


def record(ends: Ends, event: str, **fields: Any) -> None:
    """Adds a record of the attachment."""
    where = {"client": ends.client_name, "volume": ends.volume.id}
    ends.deployment.results.append("attachments", {"t_unix_s": time.time(), "event": event, **where, **fields})
