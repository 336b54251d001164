"""Writes a run's results: a manifest, and raw records as newline-delimited JSON (docs/interfaces.md, "Results").

The manifest is there before anything is measured, with the status "running": a run that was cut short differs from
one that is complete. Each record is written when it is known, so that none is lost with the process.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workloads.errors import WorkloadError
from workloads.paths import results_root

if TYPE_CHECKING:
    from inventory import Inventory

SCHEMA = 1
MANIFEST = "manifest.json"
# A stream of raw records is a file of this name, raw/NAME.ndjson.
STREAM_NAME = re.compile(r"[a-z]+(?:-[a-z]+)*")
# A record is two kilobytes (a million are two gigabytes: docs/explanation/results.md), and a short plan makes some ten
# thousand.
LEAST_FREE_BYTES = 128 << 20


def utc_now() -> str:
    """Returns the time now as results show it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def proof(kind: str, source: str, to: str | None, detail: str, passed: bool, **figures: Any) -> dict[str, Any]:
    """Returns a record of the stream "proofs": `kind` is what was tested, from the host `source` to `to`."""
    record = {"proof": kind, "from": source, "to": to, "detail": detail, "passed": passed}
    return {"t_unix_s": time.time(), **record, **figures}


def raise_failed(proofs: Sequence[Mapping[str, Any]], remedies: Mapping[str, str]) -> None:
    """Raises WorkloadError for the first proof that failed, with the remedy of its kind."""
    for each in proofs:
        if not each["passed"]:
            between = f" to {each['to']}" if each["to"] else ""
            raise WorkloadError(f"{each['proof']}{between}: {each['detail']}", remedies[each["proof"]], each["from"])


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
    ) -> Results:
        """Makes a new directory and writes its manifest."""
        parent = results_root() / inventory.experiment / inventory.stack
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
                    now += timedelta(seconds=1)
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
                # Without how to log in, since results may be shown.
                "inventory": {key: value for key, value in inventory.to_dict().items() if key != "ssh"},
                "steps": [],
                "status": "running",
                "reason": None,
            },
        )
        results.write_manifest()
        return results

    @classmethod
    def latest(cls, inventory: Inventory) -> Results | None:
        """Returns the newest run of the inventory's stack, to add to; None where there is none."""
        parent = results_root() / inventory.experiment / inventory.stack
        for directory in sorted(parent.glob("????-??-??T??????Z"), reverse=True):
            try:
                manifest = json.loads((directory / MANIFEST).read_text(encoding="utf-8"))
            except (OSError, ValueError, RecursionError):
                continue
            if not isinstance(manifest, dict) or manifest.get("schema") != SCHEMA:
                continue
            if isinstance(manifest.get("steps"), list) and isinstance(manifest.get("versions"), dict):
                return cls(directory, manifest)
        return None

    def write_manifest(self, **fields: Any) -> None:
        """Replaces the manifest, whole or not at all."""

        def write() -> None:
            self.manifest.update(fields)
            temporary = self.directory / f".{MANIFEST}.new"
            with temporary.open("w", encoding="utf-8") as file:
                json.dump(self.manifest, file, indent=1)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(self.directory / MANIFEST)

        self._write(write)

    def append(self, stream: str, record: Mapping[str, Any]) -> None:
        """Adds one record to raw/STREAM.ndjson; it is on its way to the disk when this returns."""
        if not STREAM_NAME.fullmatch(stream):
            raise ValueError(f"{stream!r} cannot name a stream: use lower-case words with hyphens")
        line = (json.dumps(record, separators=(",", ":")) + "\n").encode()

        def write() -> None:
            with (self.directory / "raw" / f"{stream}.ndjson").open("a+b", buffering=0) as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(0, size - 1))
                # A killed run may have left half a line, which would damage this one, too.
                rest = line if file.read(1) in (b"", b"\n") else b"\n" + line
                try:
                    while rest:  # a disk that fills up accepts only a part
                        rest = rest[file.write(rest) :]
                except OSError:
                    file.truncate(size)
                    raise

        self._write(write)

    def records(self, stream: str) -> list[dict[str, Any]]:
        """Returns the records so far, oldest first; leaves out damaged lines, such as half a line of a killed run."""
        path = self.directory / "raw" / f"{stream}.ndjson"
        try:
            lines = path.read_bytes().split(b"\n")
        except FileNotFoundError:
            return []
        found = []
        for line in lines:
            with suppress(ValueError, RecursionError):
                found.append(json.loads(line))
        return [record for record in found if isinstance(record, dict)]

    def step(self, name: str, seconds: float, changed: int | None) -> None:
        """Adds a step that ended to the manifest."""
        steps = [*self.manifest["steps"], {"name": name, "seconds": round(seconds, 2), "changed": changed}]
        self.write_manifest(steps=steps)

    def write_file(self, name: str, content: bytes) -> None:
        """Writes a file; `name` is its path in the run's directory."""

        def write() -> None:
            path = self.directory / name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(content)

        self._write(write)

    def _write(self, write: Callable[[], None]) -> None:
        """Writes below `directory`; goes on elsewhere where its disk is full or gone."""
        with self._guard:
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
        with suppress(shutil.Error, OSError):  # a file that can't be read is left out
            shutil.copytree(old, self.directory, dirs_exist_ok=True)
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
        """Writes how the block ended to the manifest: complete, or failed and why."""
        self.write_manifest(status="running", finished_at=None, reason=None)
        try:
            yield
        except BaseException as error:
            interrupted = isinstance(error, (KeyboardInterrupt, SystemExit))
            reason = "interrupted" if interrupted else str(error) or type(error).__name__
            self.write_manifest(status="failed", finished_at=utc_now(), reason=reason)
            raise
        self.write_manifest(status="complete", finished_at=utc_now(), reason=None)


class NullResults(Results):
    """Results of a task that keeps none."""

    def __init__(self) -> None:
        super().__init__(Path(os.devnull), {"steps": [], "versions": {}})

    def _write(self, write: Callable[[], None]) -> None:
        """Writes nothing."""

    def records(self, stream: str) -> list[dict[str, Any]]:
        """Returns no records."""
        return []


def free_bytes(folder: Path) -> int:
    """Returns how much may be written below a folder, which may still be missing. Raises OSError."""
    there = next((each for each in (folder, *folder.parents) if each.exists()), folder)
    return shutil.disk_usage(there).free


def candidates() -> Sequence[Path]:
    """Returns folders that are likely to be on different file systems, the likeliest first."""
    return (Path(tempfile.gettempdir()), Path("/var/tmp"), Path.home(), Path("/dev/shm"))


def spare_folder(instead_of: Path) -> Path | None:
    """Makes a folder with room for a run on another file system than that of `instead_of`; None where there is none."""
    full: set[int] = set()
    with suppress(OSError):
        full.add(instead_of.stat().st_dev)
    for place in candidates():
        with suppress(OSError, RuntimeError):
            if place.stat().st_dev not in full and os.access(place, os.W_OK) and free_bytes(place) >= LEAST_FREE_BYTES:
                return Path(tempfile.mkdtemp(prefix="tidemark-results-", dir=place))
    return None
