"""A run directory, `results/<experiment>/<stack>/<UTC time>/`: its manifest and its raw streams.

What a run left behind may be torn: a half-written last line, a stream that never began, a manifest cut
short. The streams say what was left out in `Run.problems`; a run whose manifest can't be used is listed as
damaged.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import msgspec

SCHEMA = 1
STATUSES = ("running", "complete", "failed")
_PROBLEMS_PER_STREAM = 5
# Fits into a processor's cache: what is read is decoded there, in half the time that megabytes take.
_BLOCK_BYTES = 128 << 10
_BATCH_RECORDS = 512
WHOLE_MAX = (1 << 63) - 1  # nothing that is counted comes near; columns have 64 bits

Record = dict[str, Any]
# Twice as fast as json, which is most of what a report of a long run waits for.
_decode = msgspec.json.Decoder().decode
T = TypeVar("T")


class RunError(Exception):
    """A run that can't be read, in one line."""


class RecordError(ValueError):
    """A record of a stream without a field it must have."""


@dataclass(frozen=True)
class Step:
    name: str
    seconds: float | None
    changes: int | None  # things that the step changed on the hosts; None for a step that only looks or measures


@dataclass(frozen=True)
class Manifest:
    experiment: str
    stack: str
    region: str
    rehearsal: bool
    started_at: str
    finished_at: str | None
    status: str
    reason: str | None
    plan: Record
    versions: Record
    inventory: Record
    steps: tuple[Step, ...]


@dataclass
class Run:
    path: Path
    manifest: Manifest
    problems: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        return f"{self.manifest.experiment}/{self.manifest.stack}/{self.path.name}"

    def has_stream(self, name: str) -> bool:
        return self._stream_path(name).is_file()

    def stream_bytes(self, name: str) -> int:
        """0 where it is missing."""
        path = self._stream_path(name)
        return path.stat().st_size if path.is_file() else 0

    def stream(self, name: str) -> Iterator[Record]:
        """The records of raw/<name>.ndjson in order; the unreadable is left out and said in `problems`."""
        lines = _Lines(self, name)
        for block in self._blocks(name):
            yield from lines.records(block)
        lines.say_how_many()

    def batches(
        self, name: str, decode: Callable[[bytes], list[T]], slowly: Callable[[Record], T | None]
    ) -> Iterator[list[T]]:
        """The records of a long stream, some hundreds at once, as `decode` has them: in a quarter of stream's time.

        `decode` is given whole lines, and does not take what `slowly` would refuse. Where it refuses one record, those
        around it are read as stream reads them, and made by `slowly`, which says what it leaves out.
        """
        lines = _Lines(self, name)
        batch: list[T] = []
        for block in self._blocks(name):
            try:
                decoded = decode(block)
                lines.seen += len(decoded)
                batch += decoded
            except ValueError:
                batch += [made for record in lines.records(block) if (made := slowly(record)) is not None]
            if len(batch) >= _BATCH_RECORDS:
                yield batch
                batch = []
        yield batch
        lines.say_how_many()

    def _blocks(self, name: str) -> Iterator[bytes]:
        """Whole lines, many at once; the end of the last may be missing."""
        path = self._stream_path(name)
        label = f"raw/{path.name}"
        try:
            file = path.open("rb")
        except FileNotFoundError:
            self.problem(f"{label} is missing")
            return
        except OSError as error:
            self.problem(f"{label}: {error.strerror}")
            return
        with file:
            while block := file.read(_BLOCK_BYTES):
                yield block if block.endswith(b"\n") else block + file.readline()

    def problem(self, text: str) -> None:
        if text not in self.problems:
            self.problems.append(text)

    def _stream_path(self, name: str) -> Path:
        return self.path / "raw" / f"{name}.ndjson"


class _Lines:
    """The lines of one stream, numbered; what of them is left out is a problem of the run."""

    def __init__(self, run: Run, name: str) -> None:
        self.seen = 0
        self._run = run
        self._label = f"raw/{name}.ndjson"
        self._left_out = 0

    def records(self, block: bytes) -> Iterator[Record]:
        lines = block.split(b"\n")
        for at, line in enumerate(lines):
            if at == len(lines) - 1 and not line:
                break
            self.seen += 1
            if not line.strip():
                continue
            try:
                record = _decode(line)
            except ValueError:
                if at == len(lines) - 1:
                    self._run.problem(f"{self._label}: the last line is half-written, left out")
                else:
                    self._leave_out("not JSON")
                continue
            if isinstance(record, dict):
                yield record
            else:
                self._leave_out("not an object")

    def say_how_many(self) -> None:
        if self._left_out > _PROBLEMS_PER_STREAM:
            self._run.problem(f"{self._label}: {self._left_out} lines left out in all")

    def _leave_out(self, why: str) -> None:
        self._left_out += 1
        if self._left_out <= _PROBLEMS_PER_STREAM:
            self._run.problem(f"{self._label}, line {self.seen}: {why}, left out")


def decode_lines(decoder: msgspec.json.Decoder[T], block: bytes) -> list[T]:
    """A record of each line; ValueError where one has none, or two."""
    import numpy as np  # slow to load, and nothing that lists runs comes here

    decoded = decoder.decode_lines(block)
    # In a quarter of the time that bytes.count takes.
    if len(decoded) != np.count_nonzero(np.frombuffer(block, np.uint8) == ord("\n")):
        raise ValueError("not a document on each line")
    return decoded


@dataclass(frozen=True)
class Listed:
    """A line of the list of runs: `run` is None when it is damaged, and `damage` says how."""

    path: Path
    run: Run | None
    damage: str | None


def open_run(path: Path) -> Run:
    manifest_path = path / "manifest.json"
    try:
        text = manifest_path.read_text(encoding="utf-8")
    except FileNotFoundError:
        if not path.is_dir():
            raise RunError(f"{path}: no such run directory") from None
        raise RunError(f"{path}: damaged: no manifest.json") from None
    except (OSError, UnicodeDecodeError) as error:
        raise RunError(f"{path}: damaged: manifest.json can't be read: {error}") from None
    try:
        document = json.loads(text)
    except ValueError:
        raise RunError(f"{path}: damaged: manifest.json is not whole JSON") from None
    try:
        return Run(path, parse_manifest(document))
    except RecordError as error:
        raise RunError(f"{path}: damaged: manifest.json: {error}") from None


def list_runs(results: Path) -> list[Listed]:
    """Every run under results/, oldest first; the damaged ones too."""
    listed = []
    for path in sorted(results.glob("*/*/*/"), key=lambda p: (p.name, str(p))):
        try:
            listed.append(Listed(path, open_run(path), None))
        except RunError as error:
            listed.append(Listed(path, None, str(error).removeprefix(f"{path}: ")))
    return listed


def parse_manifest(document: Any) -> Manifest:
    if not isinstance(document, dict):
        raise RecordError("not an object")
    if document.get("schema") != SCHEMA:
        raise RecordError(f"schema is {document.get('schema')!r}, this report reads {SCHEMA}")
    status = text(document, "status")
    if status not in STATUSES:
        raise RecordError(f"status is {status!r}, allowed: {', '.join(STATUSES)}")
    rehearsal = document.get("rehearsal")
    if not isinstance(rehearsal, bool):
        raise RecordError(f"rehearsal must be true or false, not {rehearsal!r}")
    steps = document.get("steps") or []
    if not isinstance(steps, list):
        raise RecordError("steps is not a list")
    return Manifest(
        experiment=text(document, "experiment"),
        stack=text(document, "stack"),
        region=text(document, "region"),
        rehearsal=rehearsal,
        started_at=text(document, "started_at"),
        finished_at=_text_or_none(document, "finished_at"),
        status=status,
        reason=_text_or_none(document, "reason"),
        plan=_object(document, "plan"),
        versions=_object(document, "versions"),
        inventory=_object(document, "inventory"),
        steps=tuple(_step(step) for step in steps),
    )


def text(record: Record, key: str) -> str:
    value = record.get(key)
    if not isinstance(value, str) or not value:
        raise RecordError(f"{key} must be text, not {value!r}")
    return value


def number(record: Record, key: str) -> float:
    value = record.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise RecordError(f"{key} must be a number, not {value!r}")
    return value


def whole(record: Record, key: str) -> int:
    value = record.get(key)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= WHOLE_MAX:
        raise RecordError(f"{key} must be a whole number, not {value!r}")
    return value


def number_or_none(record: Record, key: str) -> float | None:
    return None if record.get(key) is None else number(record, key)


def whole_or_none(record: Record, key: str) -> int | None:
    return None if record.get(key) is None else whole(record, key)


def quietly(read: Callable[[Record, str], T], record: Record | None, key: str) -> T | None:
    """What `read` reads, or None where that is not there or not as it must be."""
    if record is None:
        return None
    try:
        return read(record, key)
    except RecordError:
        return None


def _text_or_none(record: Record, key: str) -> str | None:
    return None if record.get(key) is None else text(record, key)


def _object(record: Record, key: str) -> Record:
    value = record.get(key)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise RecordError(f"{key} is not an object")
    return value


def _step(step: Any) -> Step:
    if not isinstance(step, dict):
        raise RecordError("steps: each must be an object")
    return Step(
        name=text(step, "name"),
        seconds=number_or_none(step, "seconds"),
        changes=whole_or_none(step, "changed"),
    )
