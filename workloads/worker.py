"""The native worker on a host: installs it, runs it, and reads its lines (docs/interfaces.md, "The native worker")."""

from __future__ import annotations

import hashlib
import os
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workloads.connectors.base import Connector
from workloads.connectors.script import Script, fact_in
from workloads.connectors.ssh import SshConnector
from workloads.deployment import Deployment
from workloads.errors import WorkloadError

REMOTE_PATH = "/var/lib/tidemark/tidemark-worker"
# The worker prints each second. A stalled array or a lost connection delays its requests, not its printing.
IDLE_TIMEOUT_SECONDS = 60.0


def local_path() -> Path:
    """Returns the path of the compiled worker (TIDEMARK_WORKER, or where `make worker` puts it)."""
    default = Path(__file__).resolve().parent / "native" / "build" / "tidemark-worker"
    return Path(os.environ.get("TIDEMARK_WORKER") or default)


@dataclass(frozen=True)
class Worker:
    """The compiled worker and its checksum."""

    content: bytes
    sha256: str

    @classmethod
    def load(cls, path: Path | None = None) -> Worker:
        """Reads the binary."""
        where = path or local_path()
        try:
            content = where.read_bytes()
        except OSError as error:
            raise WorkloadError(f"the worker is not at {where}", "compile it with `make worker`") from error
        if content[:4] != b"\x7fELF":
            raise WorkloadError(f"{where} is not a program", "compile it with `make worker`")
        return cls(content, hashlib.sha256(content).hexdigest())

    def bring_to(self, connector: SshConnector) -> bool:
        """Puts the worker on the host; returns False where the same one is there."""
        sudo = "" if connector.user == "root" else "sudo -n "
        seen: list[str] = []
        connector.execute(f"{sudo}sha256sum {REMOTE_PATH}", seen.append, idle_timeout_seconds=60)
        if seen and seen[0].split()[0] == self.sha256:
            return False
        directory = str(Path(REMOTE_PATH).parent)
        install = (
            f"mkdir -p {directory} && cat > {REMOTE_PATH}.new && chmod 755 {REMOTE_PATH}.new"
            f" && mv {REMOTE_PATH}.new {REMOTE_PATH} && sha256sum {REMOTE_PATH}"
        )
        seen.clear()
        code, words = connector.execute(
            f"{sudo}bash -c {shlex.quote(install)}", seen.append, stdin=self.content, idle_timeout_seconds=300
        )
        if code or not seen or seen[0].split()[0] != self.sha256:
            raise WorkloadError(
                f"the worker could not be put at {REMOTE_PATH} ({words.strip() or 'it arrived changed'})",
                "see that the host's disk has room, then run again",
                connector.name,
            )
        return True


def arguments(
    files: Sequence[str],
    *,
    pattern: str,
    request_bytes: int,
    threads: int,
    seconds: float,
    operation: str = "read",
    warmup_seconds: float = 0.0,
    sync: bool = False,
    start_at_unix_s: float | None = None,
    span_bytes: int | None = None,
    seed: int = 1,
) -> list[str]:
    """Returns the worker's arguments for reading or writing `files` past the page cache, by `threads` for each file.

    `start_at_unix_s` is by the clock of the host that it runs on.
    """
    words = [word for file in files for word in ("--file", file)]
    words += ["--op", operation, "--pattern", pattern, "--size", str(request_bytes), "--threads", str(threads)]
    words += ["--duration", f"{seconds:g}", "--warmup", f"{warmup_seconds:g}", "--direct", "--seed", str(seed)]
    if sync:
        words.append("--sync")
    if start_at_unix_s is not None:
        words += ["--start-at", f"{start_at_unix_s:.6f}"]
    if span_bytes is not None:
        words += ["--span", str(span_bytes)]
    return words


@dataclass
class Outcome:
    """The end of a run of the worker."""

    final: dict[str, Any] | None = None
    intervals: int = 0
    degraded_before: tuple[str, ...] = ()
    degraded_after: tuple[str, ...] = ()

    @property
    def errors(self) -> int | None:
        """The number of failed operations; None without a final line."""
        return None if self.final is None else sum(self.final["errors"].values())


class LineReader:
    """Sorts the lines of client_worker.sh."""

    def __init__(
        self,
        on_record: Callable[[dict[str, Any]], None],
        on_started: Callable[[int], None] | None = None,
    ) -> None:
        self.outcome = Outcome()
        self._on_record = on_record
        self._on_started = on_started

    def __call__(self, line: str) -> None:
        """Takes one line."""
        if not line.startswith("{"):
            return
        record = fact_in(line)
        kind = record.get("kind")
        if kind in ("interval", "final"):
            if kind == "final":
                self.outcome.final = record
            else:
                self.outcome.intervals += 1
            self._on_record(record)
        elif kind == "started" and self._on_started is not None:
            self._on_started(int(record["pid"]))
        elif kind == "array" and record["degraded"] != 0:
            if record["when"] == "before":
                self.outcome.degraded_before += (record["array"],)
            else:
                self.outcome.degraded_after += (record["array"],)


def run_worker(
    connector: Connector,
    script: Script,
    words: Sequence[str],
    on_record: Callable[[dict[str, Any]], None],
    on_started: Callable[[int], None] | None = None,
) -> Outcome:
    """Runs the worker on a host by an experiment's client_worker.sh; passes on each interval, and the final line."""
    reader = LineReader(on_record, on_started)
    connector.run(
        script, [REMOTE_PATH, *words], locked=False, idle_timeout_seconds=IDLE_TIMEOUT_SECONDS, on_line=reader
    )
    return reader.outcome


def bring_worker(deployment: Deployment, hosts: Sequence[str]) -> int:
    """Puts the worker on hosts; returns how many lacked it."""
    worker = Worker.load()
    brought = deployment.hosts.each(hosts, worker.bring_to)
    deployment.versions["tidemark-worker sha256"] = worker.sha256
    return sum(brought.values())


def rate_words(record: dict[str, Any]) -> str:
    """Describes the rate of an interval or a run, for a person."""
    seconds = record["t_end_unix_s"] - record["t_start_unix_s"]
    if seconds <= 0:
        return "no time"
    return f"{record['ops'] / seconds:>9,.0f} op/s {record['bytes'] / seconds / (1 << 20):>9,.1f} MiB/s"
