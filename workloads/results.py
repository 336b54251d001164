"""Writes a run's results: a manifest, and raw records as newline-delimited JSON (docs/interfaces.md,
"Results").

The manifest is there before anything is measured, with the status "running": a run that was cut short can
be told from one that is complete. Each record is written and flushed when it is known; nothing is kept back
to be lost with the process.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from inventory import Inventory
from workloads.errors import WorkloadError

SCHEMA = 1
MANIFEST = "manifest.json"
Raw = Literal[
    "cells",
    "worker",
    "arrays",
    "drill",
    "host",
    "proofs",
    "clocks",
    "mountstats",
    "storage",
    "cloudwatch",
    "associations",
    "moves",
    "probes",
    "attachments",
    "backup",
    "network",
    "stops",
]


def utc_now() -> str:
    """The time now as results show it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def results_root() -> Path:
    """Where results lie (TIDEMARK_RESULTS_DIR, or results/ beside fabfile.py)."""
    return Path(os.environ.get("TIDEMARK_RESULTS_DIR") or Path(__file__).resolve().parent.parent / "results")


def public_inventory(inventory: Inventory) -> dict[str, Any]:
    """The inventory as results may show it: how to log in stays out."""
    document: dict[str, Any] = json.loads(inventory.to_json())
    document.pop("ssh")
    return document


class Results:
    """One run's directory."""

    def __init__(self, directory: Path, manifest: dict[str, Any]) -> None:
        self.directory = directory
        self.manifest = manifest
        self._guard = threading.Lock()

    @classmethod
    def start(
        cls,
        inventory: Inventory,
        *,
        plan: Mapping[str, Any] | None = None,
        versions: Mapping[str, str] | None = None,
        root: Path | None = None,
    ) -> Results:
        """A new directory, its manifest written."""
        parent = (root or results_root()) / inventory.experiment / inventory.stack
        now = datetime.now(UTC)
        try:
            parent.mkdir(parents=True, exist_ok=True)
            while True:
                directory = parent / now.strftime("%Y-%m-%dT%H%M%SZ")
                try:
                    directory.mkdir()
                    break
                except FileExistsError:
                    now = now.fromtimestamp(now.timestamp() + 1, UTC)
            (directory / "raw").mkdir()
        except OSError as error:
            raise WorkloadError(
                f"{parent} cannot be written ({error.strerror})",
                "free space there, or set TIDEMARK_RESULTS_DIR",
            ) from error
        results = cls(
            directory,
            {
                "schema": SCHEMA,
                "experiment": inventory.experiment,
                "stack": inventory.stack,
                "region": inventory.region,
                "rehearsal": inventory.rehearsal,
                "started_at": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
                "finished_at": None,
                "plan": dict(plan or {}),
                "versions": dict(versions or {}),
                "inventory": public_inventory(inventory),
                "steps": [],
                "status": "running",
                "reason": None,
            },
        )
        results.write_manifest()
        return results

    @classmethod
    def latest(cls, inventory: Inventory, root: Path | None = None) -> Results | None:
        """The newest run of the inventory's stack, to be added to; None when there is none."""
        parent = (root or results_root()) / inventory.experiment / inventory.stack
        for directory in sorted(parent.glob("????-??-??T??????Z"), reverse=True):
            try:
                manifest = json.loads((directory / MANIFEST).read_text(encoding="utf-8"))
            except (OSError, ValueError):
                continue
            return cls(directory, manifest)
        return None

    def write_manifest(self, **fields: Any) -> None:
        """Replaces the manifest, whole or not at all."""
        with self._guard:
            self.manifest.update(fields)
            temporary = self.directory / f".{MANIFEST}.new"
            with temporary.open("w", encoding="utf-8") as file:
                json.dump(self.manifest, file, indent=1)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(self.directory / MANIFEST)

    def append(self, raw: Raw, record: Mapping[str, Any]) -> None:
        """Adds one record; it is on its way to the disk when this returns."""
        line = json.dumps(record, separators=(",", ":")) + "\n"
        with self._guard, (self.directory / "raw" / f"{raw}.ndjson").open("a", encoding="utf-8") as file:
            file.write(line)

    def records(self, raw: Raw) -> list[dict[str, Any]]:
        """The records so far, oldest first."""
        path = self.directory / "raw" / f"{raw}.ndjson"
        if not path.exists():
            return []
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line]

    def step(self, name: str, seconds: float, changed: int | None) -> None:
        """Notes a step that ended."""
        steps = [*self.manifest["steps"], {"name": name, "seconds": round(seconds, 2), "changed": changed}]
        self.write_manifest(steps=steps)

    def log_path(self, name: str) -> Path:
        """Where a log called `name` goes."""
        path = self.directory / "logs" / name
        path.parent.mkdir(exist_ok=True)
        return path

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Notes how what is done inside ended: complete, or failed and why."""
        self.write_manifest(status="running", finished_at=None, reason=None)
        try:
            yield
        except BaseException as error:
            interrupted = isinstance(error, (KeyboardInterrupt, SystemExit))
            reason = "interrupted" if interrupted else str(error) or type(error).__name__
            self.write_manifest(status="failed", finished_at=utc_now(), reason=reason)
            raise
        self.write_manifest(status="complete", finished_at=utc_now(), reason=None)
