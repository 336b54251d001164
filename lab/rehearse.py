"""Rehearses experiments: starts a region, runs each from its stack to its report, and takes everything down."""

from __future__ import annotations

import contextlib
import math
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence

from lab import beside, control, service_model, stacks
from lab.errors import LabError
from lab.interrupts import Interrupted, interrupts
from lab.isolation import isolated
from lab.leak_check import MachineSnapshot, snapshot_machine
from lab.outcomes import Outcome, show_outcomes, write_outcomes
from lab.paths import PROJECT, lab_dir
from lab.rehearsal_model import Say
from lab.service_model import ServiceModel
from lab.stack_rehearsal import destroy_stack, rehearse_stack
from lab.stacks import RehearsalSettings
from lab.tasks import FAB, RegionEnded, RegionWatch

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
                            clean = not destroy_stack(region, say) and clean
                        outcomes.append(
                            rehearse_stack(name, settings[name], watch, words, models[name], say, say_created)
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


def tear_down(say: Say, *, machine_before: MachineSnapshot | None = None) -> bool:
    """Destroys what is in the journal and ends the region; returns whether nothing is left of both."""
    folder = lab_dir()
    try:
        region = control.running()
    except LabError:
        region = None
    left = destroy_stack(region, say) if region is not None else []
    control.down(say)
    now = snapshot_machine(folder)
    on_machine = now.added_since(machine_before) if machine_before is not None else sorted(now.processes)
    files = [path.name for path in folder.rglob("vol-*")] if folder.exists() else []
    nothing = "nothing (processes, namespaces, mounts, loop devices, interfaces, disks)"
    say(f"left on the machine: {'; '.join([*on_machine, *files]) or nothing}")
    return not left and not on_machine and not files


def _region_of(settings: Mapping[str, RehearsalSettings]) -> str:
    """Returns the AWS region of their stacks. Raises LabError if there are several: a rehearsal has one."""
    regions = {each.region for each in settings.values()}
    if len(regions) > 1:
        raise LabError(
            f"the .lab stacks are of several regions ({', '.join(sorted(regions))}); rehearse them one by one"
        )
    return regions.pop()


def _check_plan(experiment: str, plan: str) -> None:
    """Reads the plan before anything is started. Raises LabError with its fault."""
    command = [*FAB, f"{experiment}.plan", "--plan", plan]
    read = subprocess.run(command, cwd=PROJECT, env=isolated(os.environ), capture_output=True, text=True, check=False)
    if read.returncode:
        raise LabError(read.stderr.strip().removeprefix("tidemark: "))
