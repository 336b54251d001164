"""A plugin of the AWS CLI that counts requests to S3, those that were tried again, and those that failed.

The CLI says nothing of a request that succeeded at the second attempt, and its --debug costs more than the transfer.
botocore asks after every attempt whether there shall be another (event needs-retry): there the counting is.
"""

from __future__ import annotations

import atexit
import json
import os
import threading
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Any

FILE = "TIDEMARK_S3_COUNTS"

_guard = threading.Lock()
_counts = {"attempts": 0, "retries": 0, "failures": 0}


def awscli_initialize(events: Any) -> None:
    """The CLI calls this when it loads the plugin."""
    events.register("session-initialized", _watch)
    atexit.register(_write)


def _watch(session: Any, **_: Any) -> None:
    session.register("needs-retry.s3", _count)


def _count(attempts: int, response: Any, caught_exception: Any, **_: Any) -> None:
    """Answers nothing: whether there is another attempt is for others to decide.

    One that was under way when the sync was interrupted (sync.py ends it so) has neither failed nor succeeded.
    """
    if isinstance(caught_exception, CancelledError):
        return
    failed = caught_exception is not None or (response is not None and response[0].status_code >= 400)
    with _guard:
        _counts["attempts"] += 1
        _counts["retries"] += attempts > 1
        _counts["failures"] += failed


def _write() -> None:
    if path := os.environ.get(FILE):
        Path(path).write_text(json.dumps(_counts), encoding="ascii")
