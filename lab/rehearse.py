"""Rehearses experiments: starts a region, runs each from its stack to its report, and takes everything down."""

from __future__ import annotations

import contextlib
import math
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lab import beside, control, program, rehearsal_model, service_model, stacks
from lab.clients import Clients
from lab.errors import LabError
from lab.interrupts import Interrupted, interrupts
from lab.isolation import isolated
from lab.leak_check import MachineSnapshot, account_leftovers, snapshot_machine
from lab.outcomes import Outcome, run_of, show_outcomes, write_outcomes
from lab.paths import PROJECT, chown_to_sudo_caller, lab_dir
from lab.process import wait_until
from lab.service_model import FileSystemModel, ServiceModel
from lab.stacks import RehearsalSettings
from lab.tasks import FAB, RegionEnded, RegionWatch, run_task

Say = Callable[[str], None]

JOURNAL = "journal.ndjson"
INVENTORY = "inventory.json"
SETTLE_SECONDS = 20  # the reconciler needs one pass after the last call of a destroy
FAILURES_KEPT = 5
COUNT_SECONDS = 5.0  # between two lines about resources that are created


def rehearse(
    experiments: Sequence[str],
    say: Say,
    *,
    keep: bool = False,
    plan: str | None = None,
    model: str | None = None,
    shared: beside.Shared | None = None,
    verbose: bool = False,
) -> int:
    """Runs experiments one after the other in one region; all of them if none is named.

    Returns the exit code: 0 when all are done, 1 when one failed or something is left, 130 after an interrupt.

    Experiments that may run beside others run in a second region. Its process gets `shared`, which tells it what the
    first process has taken, and where it writes its outcomes in the place of the table. An experiment that fails does
    not stop the others.

    `keep` leaves the region of one experiment up; `python -m lab down` ends it. `model` is the name or the file of a
    service model that replaces the stack file's. `verbose` prints each resource, all tables, and all lines of the
    second region.
    """
    names = tuple(experiments) or stacks.rehearsable_experiments()
    settings = _check(names, keep, plan)
    models = _models(settings, model)
    if plan:
        _check_plan(names[0], plan)
    words = [*(["--plan", plan] if plan else []), *(["--verbose"] if verbose else [])]
    say_created = say if verbose else _counted(say)
    here, names_beside = (names, []) if shared else beside.split(settings)
    began = time.monotonic()
    machine_before = snapshot_machine(lab_dir())
    outcomes: list[Outcome] = []
    interrupted = region_ended = False
    clean = True
    region = None
    running_beside: beside.Beside | None = None
    # The region holds the reading end; should this process be killed, the region sees the pipe close and ends itself.
    lifeline, held = os.pipe()
    try:
        with interrupts():
            region = control.up(_region_of(settings), say, lifeline=None if keep else lifeline)
            say(f"rehearsal region: up at {region.url}, {time.monotonic() - began:.1f} s after the start")
            divided = shared
            if names_beside:
                running_beside = beside.Beside(names_beside, verbose=verbose)
                divided = running_beside.shared
                say(f"second region, side by side: {', '.join(names_beside)} (log: {running_beside.log})")
            try:
                with contextlib.closing(RegionWatch(region)) as watch:
                    for name in [*here, *reversed(names_beside)]:
                        if divided is not None and not divided.take(name):
                            continue
                        if outcomes:
                            clean = not _destroy_stack(region, say) and clean
                        outcomes.append(
                            _rehearse_one(name, settings[name], watch, words, models[name], say, say_created)
                        )
                        watch.check()
            except RegionEnded as fault:
                region_ended = True
                if not outcomes or outcomes[-1].reason != str(fault):  # else it was said already
                    print(f"lab: {fault}", file=sys.stderr, flush=True)
            if running_beside is not None:
                outcomes_beside, clean_beside = running_beside.follow(say, [each.experiment for each in outcomes])
                outcomes += outcomes_beside
                clean = clean_beside and clean
    except Interrupted as signalled:
        say(f"{signalled}: tearing down")
        interrupted = True
    finally:
        if running_beside is not None:
            running_beside.stop()
        os.close(lifeline)
        if region is None:  # there may be one in this folder all the same: somebody else's
            say("nothing was started")
        elif keep and not interrupted and not region_ended:
            host = _a_host(region)
            say(f"KEEP=1: the region stays up: fab lab.status,{f' fab lab.ssh {host},' if host else ''} fab lab.down")
        else:
            clean = tear_down(say, machine_before=machine_before) and clean
        os.close(held)
        expected = len(names)
        if shared is not None and not (interrupted or region_ended):
            expected = len(outcomes)  # another process took the others
        done = sum(outcome.done for outcome in outcomes) == expected and not interrupted and clean
        if region is not None:
            after = f"after {time.monotonic() - began:.0f} s"
            if len(names) > 1:
                say(f"{sum(outcome.done for outcome in outcomes)} of {expected} experiments done {after}")
            else:
                page = f"; its page is {outcomes[0].page}" if outcomes and outcomes[0].page else ""
                say(f"{names[0]}: {'done' if done else 'not done'} {after}{page}")
            if shared is not None:
                write_outcomes(shared.outcomes, outcomes)
            elif len(names) > 1:
                show_outcomes(names, outcomes, "the region had ended" if region_ended else "interrupted")
    return 130 if interrupted else 0 if done else 1


def _check(names: Sequence[str], keep: bool, plan: str | None) -> dict[str, RehearsalSettings]:
    """Raises LabError for anything that is wrong, before anything is started. Returns each experiment's settings."""
    known = stacks.rehearsable_experiments()
    for name in names:
        if name not in known:
            raise LabError(f"EXPERIMENT={name}: there is no such experiment; there are {', '.join(known)}")
    if len(names) > 1 and keep:
        raise LabError(f"KEEP=1: a region keeps one experiment; name it, as in EXPERIMENT={names[0]}")
    if len(names) > 1 and plan:
        raise LabError(f"PLAN={plan}: a plan is of one experiment; name it, as in EXPERIMENT={names[0]}")
    return {name: stacks.rehearsal_settings(name) for name in names}


def _models(settings: Mapping[str, RehearsalSettings], model: str | None) -> dict[str, ServiceModel | None]:
    """Returns each experiment's service model: `model` instead of its own, None where it has none."""
    chosen = service_model.load(model) if model else None
    return {
        name: chosen if model and each.service_model else service_model.load(each.service_model or service_model.NONE)
        for name, each in settings.items()
    }


def _a_host(region: control.Running) -> str | None:
    """Returns the name of a host that is up; None if there is none, or the region does not answer."""
    with contextlib.suppress(LabError):
        return next((str(host["name"]) for host in control.status()["hosts"] if host["pid"]), None)
    return None


def _counted(say: Say) -> Say:
    """Returns a `say` for lines about resources that are created, which prints their number every few seconds."""
    count, shown = 0, math.inf

    def say_count(_: str) -> None:
        nonlocal count, shown
        count += 1
        shown = min(shown, time.monotonic())
        if time.monotonic() - shown >= COUNT_SECONDS:
            shown = time.monotonic()
            say(f"creating: {count} resources so far")

    return say_count


def _rehearse_one(
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
        rehearsal_model.apply_block_storage_model(region, model, say)
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


def tear_down(say: Say, *, machine_before: MachineSnapshot | None = None) -> bool:
    """Destroys what is in the journal and ends the region; returns whether nothing is left of both."""
    folder = lab_dir()
    try:
        region = control.running()
    except LabError:
        region = None
    left = _destroy_stack(region, say) if region is not None else []
    control.down(say)
    now = snapshot_machine(folder)
    on_machine = now.added_since(machine_before) if machine_before is not None else sorted(now.processes)
    files = [path.name for path in folder.rglob("vol-*")] if folder.exists() else []
    nothing = "nothing (processes, namespaces, mounts, loop devices, interfaces, disks)"
    say(f"left on the machine: {'; '.join([*on_machine, *files]) or nothing}")
    return not left and not on_machine and not files


def _destroy_stack(region: control.Running, say: Say) -> list[str]:
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


def _region_of(settings: Mapping[str, RehearsalSettings]) -> str:
    """Returns the AWS region of their stacks. Raises LabError if there are several: a rehearsal has one."""
    regions = {each.region for each in settings.values()}
    if len(regions) > 1:
        raise LabError(
            f"the .lab stacks are of several regions ({', '.join(sorted(regions))}); rehearse them one by one"
        )
    return regions.pop()


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


def _check_plan(experiment: str, plan: str) -> None:
    """Reads the plan before anything is started. Raises LabError with its fault."""
    command = [*FAB, f"{experiment}.plan", "--plan", plan]
    read = subprocess.run(command, cwd=PROJECT, env=isolated(os.environ), capture_output=True, text=True, check=False)
    if read.returncode:
        raise LabError(read.stderr.strip().removeprefix("tidemark: "))


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
        code = rehearsal_model.apply_file_system_model(experiment, watch, inventory, model, say)
        if code:
            return code
    return run_task(watch, inventory, f"{experiment}.all", *words)


def _hosts_left() -> list[str]:
    wait_until(lambda: not control.status()["hosts"], timeout_seconds=SETTLE_SECONDS, interval_seconds=0.2)
    return [f"host {host['name']}" for host in control.status()["hosts"]]


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
