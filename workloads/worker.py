"""Copies the native worker to hosts, runs it, and reads its lines (docs/interfaces.md, "The native worker")."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from workloads.connectors.script import BASH, Script, as_root, fact_in
from workloads.connectors.ssh import SshConnector
from workloads.deployment import Deployment
from workloads.errors import WorkloadError, last_line

REMOTE_PATH = "/var/lib/tidemark/tidemark-worker"
# The worker prints each second, whether operations end or not: a stall holds up the operations, not the printing.
WORKER_SILENCE_S = 60.0


@dataclass(frozen=True)
class Worker:
    """The compiled worker and its checksum."""

    content: bytes
    sha256: str

    @classmethod
    def load(cls) -> Worker:
        """Reads TIDEMARK_WORKER, or what `make worker` compiles. Raises WorkloadError where it is not compiled."""
        default = Path(__file__).resolve().parent / "native" / "build" / "tidemark-worker"
        where = Path(os.environ.get("TIDEMARK_WORKER") or default)
        try:
            content = where.read_bytes()
        except OSError as error:
            raise WorkloadError(f"the worker is not at {where}", "compile it with `make worker`") from error
        if content[:4] != b"\x7fELF":
            raise WorkloadError(f"{where} is not a program", "compile it with `make worker`")
        return cls(content, hashlib.sha256(content).hexdigest())

    def bring_to(self, connector: SshConnector) -> bool:
        """Copies the worker to the host unless the same one is there; returns whether it was copied."""
        seen: list[str] = []
        connector.execute(as_root(connector.user, "sha256sum", REMOTE_PATH), seen.append, idle_timeout_seconds=60)
        if seen and seen[0].split()[0] == self.sha256:
            return False
        directory = str(Path(REMOTE_PATH).parent)
        install = (
            f"mkdir -p {directory} && cat > {REMOTE_PATH}.new && chmod 755 {REMOTE_PATH}.new"
            f" && mv {REMOTE_PATH}.new {REMOTE_PATH} && sha256sum {REMOTE_PATH}"
        )
        seen.clear()
        code, words = connector.execute(
            as_root(connector.user, *BASH, install), seen.append, stdin=self.content, idle_timeout_seconds=300
        )
        if code or not seen or seen[0].split()[0] != self.sha256:
            raise WorkloadError(
                f"the worker could not be put at {REMOTE_PATH} ({last_line(words) or 'it arrived changed'})",
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
    buffered: bool = False,
    overwrite: bool = False,
) -> list[str]:
    """Returns the worker's arguments for reading or writing `files` by `threads` for each file: past the page cache, or
    through it with `buffered`.

    `start_at_unix_s` is a time of the clock of the host that it runs on. `overwrite` lets it write to block devices.
    """
    words = [word for file in files for word in ("--file", file)]
    words += ["--op", operation, "--pattern", pattern, "--size", str(request_bytes), "--threads", str(threads)]
    words += ["--duration", f"{seconds:g}", "--warmup", f"{warmup_seconds:g}", "--seed", str(seed)]
    flags = {"--direct": not buffered, "--sync": sync, "--overwrite": overwrite}
    words += [flag for flag, given in flags.items() if given]
    if start_at_unix_s is not None:
        words += ["--start-at", f"{start_at_unix_s:.6f}"]
    if span_bytes is not None:
        words += ["--span", str(span_bytes)]
    return words


@dataclass
class Outcome:
    """What a run of the worker printed. `degraded` are the arrays that lacked a leg before or after it; `read_bytes` is
    what was read from each iSCSI target meanwhile, where the script says so.
    """

    final: dict[str, Any] | None = None
    degraded: frozenset[str] = frozenset()
    read_bytes: dict[str, int] = field(default_factory=dict)

    @property
    def errors(self) -> int | None:
        """The number of failed operations; None without a final line."""
        return None if self.final is None else sum(self.final["errors"].values())

    @property
    def words(self) -> str:
        """The rate of the whole run, for a person."""
        return "" if self.final is None else rate_words(self.final)

    def fault(self, operation: str) -> str | None:
        """Returns why the run is no measurement, or None; `operation` names one of its operations."""
        if self.final is None:
            return "the worker ended without a final line"
        if self.errors:
            return f"{self.errors} {operation}s failed ({', '.join(sorted(self.final['errors']))})"
        if self.final["ops"] == 0:
            return f"not one {operation} ended"
        return f"{', '.join(sorted(self.degraded))} lacked a leg" if self.degraded else None


@dataclass
class LineReader:
    """Sorts the lines of client_worker.sh into an outcome."""

    on_record: Callable[[dict[str, Any]], None]
    on_started: Callable[[int], None] | None = None
    outcome: Outcome = field(default_factory=Outcome)
    disks_before: dict[str, int] = field(default_factory=dict)

    def __call__(self, line: str) -> None:
        """Reads one line."""
        if not line.startswith("{"):
            return
        record = fact_in(line)
        kind = record.get("kind")
        if kind in ("interval", "final"):
            if kind == "final":
                self.outcome.final = record
            self.on_record(record)
        elif kind == "started" and self.on_started is not None:
            self.on_started(int(record["pid"]))
        elif kind == "disks":
            counts, before = record["read_bytes"], self.disks_before
            if record["when"] == "before":
                self.disks_before = counts
            else:
                self.outcome.read_bytes = {each: count - before.get(each, count) for each, count in counts.items()}
        elif kind == "array" and record["degraded"] != 0:
            self.outcome.degraded |= {record["array"]}


def bring_worker(deployment: Deployment, hosts: Iterable[str]) -> int:
    """Copies the worker to the hosts that lack it, and notes its checksum; returns the number of copies."""
    worker = Worker.load()
    deployment.versions["tidemark-worker sha256"] = worker.sha256
    return sum(deployment.hosts.each(hosts, worker.bring_to).values())


def run_worker(
    deployment: Deployment,
    host: str,
    script: Script,
    words: Sequence[str],
    *,
    cell: str | None = None,
    on_record: Callable[[dict[str, Any]], None] = lambda _: None,
    on_started: Callable[[int], None] | None = None,
    silence_s: float = WORKER_SILENCE_S,
) -> Outcome:
    """Runs the worker on a host by `script`, a client_worker.sh; its lines go to the results when there is a `cell`.

    `on_record` gets every interval and the final line, `on_started` the process id.
    """

    def take(record: dict[str, Any]) -> None:
        if cell is not None:
            deployment.results.append("worker", {**record, "cell": cell, "host": host})
        on_record(record)

    reader = LineReader(take, on_started)
    deployment.hosts.connector(host).run(
        script, [REMOTE_PATH, *words], locked=False, idle_timeout_seconds=silence_s, on_line=reader
    )
    return reader.outcome


def rate_words(record: dict[str, Any]) -> str:
    """Returns the rate of an interval or of a run, for a person."""
    seconds = record["t_end_unix_s"] - record["t_start_unix_s"]
    if seconds <= 0:
        return "no time"
    return f"{record['ops'] / seconds:>9,.0f} op/s {record['bytes'] / seconds / (1 << 20):>9,.1f} MiB/s"
