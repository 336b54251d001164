"""A session with the program on the uploader that measures one sync after the other (uploader/__main__.py)."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from workloads.connectors.base import ScriptProcess
from workloads.connectors.script import fact_in, script_error
from workloads.connectors.ssh import SshConnector
from workloads.errors import WorkloadError
from workloads.lease import DONE, LEASE_TIMEOUT_SECONDS, heartbeats, lease_holder
from workloads.results import utc_now
from workloads.s3_throttle.context import ENVIRONMENT, SCRIPTS, STATE
from workloads.s3_throttle.uploader.spec import Spec
from workloads.scripts import find_script

START_SECONDS = 60.0
END_SECONDS = 30.0
# A run that was killed still exists for a moment: its sync gets five seconds to end (uploader/sync.py). Until then it
# cannot be distinguished from one that goes on: nothing is sent while a sync runs.
LOCK_TIMEOUT_SECONDS = 7
SCRIPT = "uploader_sync"


@dataclass
class SyncResult:
    """The result of a sync: samples of the interface, the throttle's stops if it was throttled, and the final record;
    or the `fault` for which it was not begun.
    """

    samples: dict[str, list[Any]] = field(default_factory=dict)
    stops: list[dict[str, Any]] = field(default_factory=list)
    final: dict[str, Any] | None = None
    fault: str | None = None


class Session:
    """Measures syncs, one after the other. `syncing` is held during each: heartbeats are sent between them only."""

    def __init__(self, process: ScriptProcess, host: str) -> None:
        self.syncing = threading.Lock()
        self._process = process
        self._host = host

    def sync(self, spec: Spec) -> SyncResult:
        """Measures one sync to its end. Raises WorkloadError when the connection or the program has ended."""
        with self.syncing:
            self._process.idle_timeout_seconds = spec.limit_s + START_SECONDS
            self._process.send(f"{spec.to_json()}\n".encode())
            return SyncResult(**self.answer())

    def end(self, *, in_order: bool) -> None:
        """Ends the program, and a sync that is under way with it."""
        with contextlib.suppress(OSError, EOFError, WorkloadError):
            if in_order:
                self._process.send(DONE)
            self._process.close_stdin()
            self._process.wait(END_SECONDS)

    def answer(self) -> dict[str, Any]:
        """Returns the program's next record. Raises WorkloadError when it has ended."""
        for line in self._process.lines:
            if line.startswith("{"):
                return fact_in(line, self._host)
        code, stderr = self._process.wait()
        raise script_error(self._host, SCRIPT, code, stderr)


@contextmanager
def uploading(
    connector: SshConnector, python: str = f"{ENVIRONMENT}/bin/python3", folder: str = STATE
) -> Iterator[Session]:
    """Starts the program for this run. Raises WorkloadError with the name of another run that uses it."""
    timeouts = [str(LEASE_TIMEOUT_SECONDS), str(LOCK_TIMEOUT_SECONDS)]
    words = [python, folder, lease_holder(f"a run since {utc_now()}"), *timeouts]
    with connector.start(find_script(SCRIPT, SCRIPTS), words, idle_timeout_seconds=START_SECONDS) as process:
        session = Session(process, connector.name)
        session.answer()  # it is ready; raises when another run uses it
        try:
            with heartbeats(process, session.syncing):
                yield session
        except BaseException:
            session.end(in_order=False)
            raise
        session.end(in_order=True)
