"""Writes a run's results: a manifest, and raw records as newline-delimited JSON (docs/interfaces.md,
"Results").

The manifest is there before anything is measured, with the status "running": a run that was cut short can
be told from one that is complete. Each record is written and flushed when it is known; nothing is kept back
to be lost with the process.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from inventory import Inventory
from workloads.errors import WorkloadError
from workloads.spare_folder import LEAST_FREE_BYTES, copy_what_can_be_read, free_bytes, spare_folder

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


def _ends_whole(path: Path) -> bool:
    with path.open("rb") as file:
        if file.seek(0, os.SEEK_END) == 0:
            return True
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"


class Results:
    """One run's directory."""

    def __init__(self, directory: Path, manifest: dict[str, Any]) -> None:
        self.directory = directory
        self.manifest = manifest
        self._whole: set[Raw] = set()  # streams that end with a whole line
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
            if (free := free_bytes(parent)) < LEAST_FREE_BYTES:
                raise WorkloadError(
                    f"{parent} has {free >> 20} MiB free, and a run is to have {LEAST_FREE_BYTES >> 20} MiB",
                    "free space there, or set TIDEMARK_RESULTS_DIR",
                )
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
            if isinstance(manifest, dict) and manifest.get("schema") == SCHEMA:
                return cls(directory, manifest)
        return None

    def write_manifest(self, **fields: Any) -> None:
        """Replaces the manifest, whole or not at all."""

        def write() -> None:
            temporary = self.directory / f".{MANIFEST}.new"
            with temporary.open("w", encoding="utf-8") as file:
                json.dump(self.manifest, file, indent=1)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(self.directory / MANIFEST)

        with self._guard:
            self.manifest.update(fields)
            self._written(write)

    def append(self, raw: Raw, record: Mapping[str, Any]) -> None:
        """Adds one record; it is on its way to the disk when this returns."""
        line = (json.dumps(record, separators=(",", ":")) + "\n").encode()

        def write() -> None:
            with (self.directory / "raw" / f"{raw}.ndjson").open("ab", buffering=0) as file:
                whole = file.tell()
                # A run that was killed may have left half a line, which would spoil this one, too.
                rest = line if raw in self._whole or _ends_whole(Path(file.name)) else b"\n" + line
                self._whole.add(raw)
                try:
                    while rest:  # a disk that fills up takes a part of it
                        rest = rest[file.write(rest) :]
                except OSError:
                    file.truncate(whole)
                    raise

        with self._guard:
            self._written(write)

    def records(self, raw: Raw) -> list[dict[str, Any]]:
        """The records so far, oldest first. Half a line, which a run that was killed has left, is none: the report
        says which lines those are.
        """
        path = self.directory / "raw" / f"{raw}.ndjson"
        try:
            lines = path.read_text(encoding="utf-8").split("\n")
        except FileNotFoundError:
            return []
        found = []
        for line in lines:
            with suppress(ValueError):
                found.append(json.loads(line))
        return found

    def step(self, name: str, seconds: float, changed: int | None) -> None:
        """Notes a step that ended."""
        steps = [*self.manifest["steps"], {"name": name, "seconds": round(seconds, 2), "changed": changed}]
        self.write_manifest(steps=steps)

    def write_log(self, name: str, text: str) -> None:
        """Keeps a log."""
        self.write_file(f"logs/{name}", text.encode())

    def write_file(self, name: str, content: bytes) -> None:
        """Keeps a file, called by its path in the run's directory."""

        def write() -> None:
            path = self.directory / name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(content)

        with self._guard:
            self._written(write)

    def _written(self, write: Callable[[], None]) -> None:
        """Writes below `directory`; where that fails, since its disk is full or gone, the run goes on elsewhere."""
        try:
            write()
        except OSError as error:
            self._move(error)
            try:
                write()
            except OSError as second:
                raise self._unwritable(second) from error

    def _move(self, error: OSError) -> None:
        spare = spare_folder(self.directory)
        if spare is None:
            raise self._unwritable(error) from error
        # Below it as below results/, so that TIDEMARK_RESULTS_DIR may name it.
        old, self.directory = self.directory, spare.joinpath(*self.directory.parts[-3:])
        copy_what_can_be_read(old, self.directory)
        (self.directory / "raw").mkdir(parents=True, exist_ok=True)
        print(
            f"tidemark: {old} cannot be written ({error.strerror}); the run is in {self.directory} from now on",
            file=sys.stderr,
        )

    def _unwritable(self, error: OSError) -> WorkloadError:
        return WorkloadError(
            f"{self.directory} cannot be written ({error.strerror}), and no other disk here has room for the run",
            "free space, or set TIDEMARK_RESULTS_DIR, and run again; what was written so far is there",
        )

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
