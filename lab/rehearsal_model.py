"""Applies the service model of an experiment that is rehearsed, and writes down what is in force, for its results."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lab import control
from lab.service_model import BlockStorageModel, FileSystemModel, ServiceModel
from lab.tasks import RegionWatch, run_task

SERVICE_MODEL = "service-model.json"
"""The description's file, in the region's folder. Tasks copy it into the results and do not read it."""

Say = Callable[[str], None]


def apply_block_storage_model(region: control.Running, model: ServiceModel | None, say: Say) -> None:
    """Applies a model of block storage, which holds from the first boot on; removes that of an earlier experiment."""
    found = model if isinstance(model, BlockStorageModel) else None
    control.apply_service_model(found)
    (region.folder / SERVICE_MODEL).unlink(missing_ok=True)
    if found is not None:
        _save(region, found.to_dict())
        say(f"service model: {found.name} ({found.in_words()})")


def apply_file_system_model(
    experiment: str, watch: RegionWatch, inventory: Path, model: FileSystemModel, say: Say
) -> int:
    """Measures what an operation takes besides the model's delay, writes both down, and applies the model."""
    base = watch.region.folder / "base.json"
    half_delay = model.with_half_delay()
    control.apply_service_model(half_delay)
    code = run_task(watch, inventory, f"{experiment}.base", "--output", str(base))
    if code == 0:
        took: dict[str, float] = json.loads(base.read_text())
        besides = {operation: max(each - half_delay.delay_seconds, 0.0) for operation, each in took.items()}
        _save(watch.region, {**model.to_dict(), "base_seconds": besides})
        control.apply_service_model(model)
        say(f"service model: {model.name} ({model.in_words()})")
    return code


def _save(region: control.Running, description: dict[str, Any]) -> None:
    (region.folder / SERVICE_MODEL).write_text(json.dumps(description, indent=1) + "\n")
