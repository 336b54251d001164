"""Rehearses one experiment in a region that is up: creates its stack, runs its tasks, destroys what was created."""

from __future__ import annotations

import shutil
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lab import control, program, stacks
from lab.clients import Clients
from lab.errors import LabError
from lab.interrupts import Interrupted
from lab.leak_check import account_leftovers
from lab.outcomes import Outcome, run_of
from lab.paths import chown_to_sudo_caller
from lab.process import wait_until
from lab.rehearsal_model import Say, apply_block_storage_model, apply_file_system_model
from lab.service_model import FileSystemModel, ServiceModel
from lab.stacks import RehearsalSettings
from lab.tasks import RegionEnded, RegionWatch, run_task

JOURNAL = "journal.ndjson"
INVENTORY = "inventory.json"
SETTLE_SECONDS = 20  # the reconciler needs one pass after the last call of a destroy
FAILURES_KEPT = 5


def rehearse_stack(
    experiment: str,
    settings: RehearsalSettings,
    watch: RegionWatch,
    words: Sequence[str],
    model: ServiceModel | None,
    say: Say,
    say_created: Say,
) -> Outcome:
    """Runs one experiment in the region that is up: its stack, its tasks. Its failure is in the outcome."""
    began, started = time.monotonic(), datetime.now(UTC)
    region = watch.region
    stack = f"{experiment}.lab"
    reason: str | None = None
    takes = f"; the rehearsal takes about {settings.seconds} s" if settings.seconds else ""
    say(f"{stack}: creating its resources{takes}")
    try:
        journal = program.Journal(region.folder / JOURNAL)
        apply_block_storage_model(region, model, say)
        outputs = _run_program(stack, stacks.stack_config(stack, region.url), watch, journal, say_created)
        inventory = region.folder / INVENTORY
        inventory.write_text(str(outputs["inventory"]))
        chown_to_sudo_caller(inventory)
        say(f"{stack}: {len(journal.entries())} resources in {time.monotonic() - began:.1f} s")
        if _run_experiment(experiment, watch, inventory, words, model, say):
            reason = "its tasks failed"
    except LabError as fault:
        reason = str(fault)
        print(f"lab: {experiment}: {fault}", file=sys.stderr, flush=True)
    if reason is not None:
        _keep_logs(region.folder, say)
    return Outcome(experiment, time.monotonic() - began, run_of(experiment, stack, started), reason)


def _run_program(
    stack: str,
    config: stacks.Config,
    watch: RegionWatch,
    journal: program.Journal,
    say: Say,
) -> dict[str, Any]:
    """Runs the program in a second thread.

    An interrupt goes to the main thread, where it ends a wait. In the middle of an event loop it might be lost.
    """
    region, stop = watch.region, threading.Event()
    with ThreadPoolExecutor(max_workers=1) as pool:
        running = pool.submit(program.run_program, stack, config, region.url, region.region, journal, say, stop)
        try:
            return watch.result(running)
        except (Interrupted, RegionEnded):
            stop.set()  # leaving the block waits for what is being created: it must be in the journal
            raise


def _run_experiment(
    experiment: str,
    watch: RegionWatch,
    inventory: Path,
    words: Sequence[str],
    model: ServiceModel | None,
    say: Say,
) -> int:
    """Runs the experiment's tasks, under its service model if it has one; returns their exit code."""
    if isinstance(model, FileSystemModel):
        code = apply_file_system_model(experiment, watch, inventory, model, say)
        if code:
            return code
    return run_task(watch, inventory, f"{experiment}.all", *words)


def _keep_logs(folder: Path, say: Say) -> None:
    if not folder.exists():
        return
    kept = folder / f"failed-{datetime.now(UTC):%Y-%m-%dT%H%M%SZ}"
    kept.mkdir(exist_ok=True)
    for log in [folder / "region.log", folder / "events", *folder.glob("hosts/*/console.log")]:
        if log.exists():
            name = log.name if log.parent == folder else f"{log.parent.name}-{log.name}"
            shutil.copyfile(log, kept / name)
    for old in sorted(folder.glob("failed-*"))[:-FAILURES_KEPT]:
        shutil.rmtree(old)
    say(f"logs of the failure: {kept}")


def destroy_stack(region: control.Running, say: Say) -> list[str]:
    """Destroys what is in the journal; returns what the API still shows, in words."""
    left: list[str] = []
    journal = program.Journal(region.folder / JOURNAL)
    say(f"destroying {len(journal.entries())} resources")
    try:
        protected = journal.protected()
        if protected:
            left += _check_protection(journal, region, say)
            say(f"named to be deleted: {', '.join(f'{name} ({made_id})' for name, made_id in protected.items())}")
        program.destroy(journal, region.url, region.region, say, named=protected)
        left += account_leftovers(Clients(region.url, region.region))
        left += _hosts_left()
    except Exception as fault:  # whatever it is, the region's end takes everything with it
        left.append(f"destroy failed: {' '.join(str(fault).split())}")
    say("left in the account: " + ("nothing" if not left else "; ".join(left)))
    return left


def _check_protection(journal: program.Journal, region: control.Running, say: Say) -> list[str]:
    """Checks that a destroy that does not name what is protected is refused; returns the fault, in words."""
    try:
        program.destroy(journal, region.url, region.region, say)
    except LabError as refusal:
        say(f"destroy is refused, as expected: {refusal}")
        return []
    return ["what was protected was destroyed without being named"]


def _hosts_left() -> list[str]:
    wait_until(lambda: not control.status()["hosts"], timeout_seconds=SETTLE_SECONDS, interval_seconds=0.2)
    return [f"host {host['name']}" for host in control.status()["hosts"]]
