"""The uploader, ours alone while a block lasts: it measures one sync after the other (uploader/__main__.py)."""

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
from workloads.s3_throttle.settings import ENVIRONMENT, SCRIPTS, UNDER_WAY
from workloads.s3_throttle.uploader.spec import Spec
from workloads.scripts import find_script

START_SECONDS = 60.0
END_SECONDS = 30.0
SCRIPT = "uploader_sync"


@dataclass
class Seen:
    """What was seen of a sync. `fault` is why it was not begun; else `final` and `samples` are there.

    `stops` are the throttle's, where it was held by that.
    """

    samples: dict[str, list[Any]] = field(default_factory=dict)
    stops: dict[str, list[Any]] = field(default_factory=dict)
    final: dict[str, Any] | None = None
    fault: str | None = None


class Session:
    """Syncs, one after the other. `idle` is held during each: signs of life are for between them."""

    def __init__(self, process: ScriptProcess, host: str) -> None:
        self.idle = threading.Lock()
        self._process = process
        self._host = host

    def begin(self) -> None:
        """Waits until it is ours. Raises WorkloadError when it is another's."""
        self._answer()

    def sync(self, spec: Spec) -> Seen:
        """One sync to its end. Raises WorkloadError when the connection, or what measures there, is no more."""
        seen = Seen()
        with self.idle:
            self._process.idle_timeout_seconds = spec.limit_s + START_SECONDS
            self._process.send(f"{spec.to_json()}\n".encode())
            while seen.final is None and seen.fault is None:
                answer = self._answer()
                if answer["kind"] == "samples":
                    seen.samples = {name: answer[name] for name in ("t", "tx", "rx", "again")}
                elif answer["kind"] == "stops":
                    seen.stops = {name: values for name, values in answer.items() if name != "kind"}
                elif answer["kind"] == "final":
                    seen.final = {name: value for name, value in answer.items() if name != "kind"}
                elif answer["kind"] == "fault":
                    seen.fault = str(answer["what"])
        return seen

    def end(self, *, in_order: bool) -> None:
        """Waits for the end there; a sync that is under way ends as well."""
        with contextlib.suppress(OSError, EOFError, WorkloadError):
            if in_order:
                self._process.send(DONE)
            self._process.close_stdin()
            self._process.wait(END_SECONDS)

    def _answer(self) -> dict[str, Any]:
        for line in self._process.lines:
            if line.startswith("{"):
                return fact_in(line, self._host)
        code, stderr = self._process.wait()
        raise script_error(self._host, SCRIPT, code, stderr)


@contextmanager
def uploading(
    connector: SshConnector, python: str = f"{ENVIRONMENT}/bin/python3", folder: str = UNDER_WAY
) -> Iterator[Session]:
    """The uploader, for this run alone. Raises WorkloadError with the name of who has it already."""
    words = [python, folder, lease_holder(f"a run since {utc_now()}"), str(LEASE_TIMEOUT_SECONDS)]
    with connector.start(find_script(SCRIPT, SCRIPTS), words, idle_timeout_seconds=START_SECONDS) as process:
        session = Session(process, connector.name)
        session.begin()
        try:
            with heartbeats(process, session.idle):
                yield session
        except BaseException:
            session.end(in_order=False)
            raise
        session.end(in_order=True)
