"""A plugin of the AWS CLI that counts requests to S3, retries and failures.

The CLI does not report a request that succeeded at the second attempt, and its --debug costs more than the transfer.
botocore emits needs-retry after every attempt: the plugin counts there. It writes the counts each time, since a sync
whose mean is known is ended by SIGTERM. The CLI loads it by name, so it is a module of its own.
"""

from __future__ import annotations

import json
import os
import threading
from typing import Any

FILE = "TIDEMARK_S3_COUNTS"

_guard = threading.Lock()
_counts = {"attempts": 0, "retries": 0, "failures": 0}
_LENGTH = 100  # more than a record needs: each write replaces the whole of the previous one
_file: int | None = None


def awscli_initialize(events: Any) -> None:
    """Registers the plugin: the CLI calls this."""
    global _file
    events.register("session-initialized", _watch)
    if path := os.environ.get(FILE):
        _file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        _write(_file)


def _watch(session: Any, **_: Any) -> None:
    session.register("needs-retry.s3", _count)


def _count(attempts: int, response: Any, caught_exception: Any, **_: Any) -> None:
    """Counts an attempt; returns None, which leaves the decision about a retry to others."""
    failed = caught_exception is not None or (response is not None and response[0].status_code >= 400)
    with _guard:
        _counts["attempts"] += 1
        _counts["retries"] += attempts > 1
        _counts["failures"] += failed
        if _file is not None:
            _write(_file)


def _write(file: int) -> None:
    os.pwrite(file, json.dumps(_counts).ljust(_LENGTH).encode("ascii"), 0)
