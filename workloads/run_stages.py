"""Runs an experiment's stages: alone, or all of them up to the collected logs."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from workloads.connectors.script import END_OF_SECTIONS, sections
from workloads.deployment import Deployment, connected, latest, local_versions, recorded
from workloads.errors import WorkloadError
from workloads.experiment import Request, Stage
from workloads.paths import lab_dir
from workloads.results import Results
from workloads.scripts import find_script

SERVICE_MODEL = "service-model.json"
"""What a rehearsal's services are held to: copied into the results, for the report to compare with; not read here."""


def show_plan(request: Request) -> None:
    """Prints what a plan measures, and for how long."""
    plan = request.experiment.plan
    assert plan is not None, "an experiment without a plan has no such task"
    for line in plan.describe(request.plan):
        request.console.say("plan", line)


def run_stage(request: Request, stage: Stage) -> None:
    """Runs one stage on the hosts, and records it in the results that it declares."""
    with connected_context(request) as context:
        if stage.results is None:
            stage.body(context, request.plan)
        elif stage.results == "newest":
            with recorded(context, latest(context)):
                stage.body(context, request.plan)
        else:
            with recorded(context, start_results(request, context)):
                for each in request.experiment.stages:
                    if each.name == "configure":
                        each.body(context, request.plan)
                stage.body(context, request.plan)


def run_all(request: Request) -> Path:
    """Runs every stage into new results, and collects the logs; returns the results' directory."""
    experiment = request.experiment
    with connected_context(request) as context:
        results = start_results(request, context)
        with recorded(context, results):
            try:
                for stage in experiment.stages:
                    stage.body(context, request.plan)
            except Exception:
                if experiment.collect_after_failure:
                    with suppress(WorkloadError):
                        _collect(request, context)
                raise
            _collect(request, context)
    return results.directory


def collect(request: Request) -> None:
    """Fetches the hosts' logs into the newest results."""
    with connected(request.inventory, request.console) as found:
        results = Results.latest(found.inventory)
        if results is None:
            experiment = found.inventory.experiment
            raise WorkloadError(f"no results of {found.inventory.stack} yet", f"run `fab {experiment}.run` first")
        found.results = results
        collect_logs(found, request.experiment.scripts)


def collect_logs(deployment: Deployment, scripts: Path) -> None:
    """Runs host_logs.sh of the folder `scripts` on each host, and writes its sections to the results."""
    started = time.monotonic()
    roles = {host.name: [host.role] for host in deployment.inventory.hosts}
    with deployment.console.under_way("collect", "logs"):
        output = deployment.hosts.run(find_script("host_logs", scripts, "sections"), roles)
    files = 0
    for host, result in output.items():
        for name, text in sections(result.stdout).items():
            if name != END_OF_SECTIONS and text.strip():
                deployment.results.write_file(f"logs/{host}-{name}.txt", f"{text}\n".encode())
                files += 1
    deployment.results.step("collect", time.monotonic() - started, None)
    where = deployment.results.directory / "logs"
    deployment.console.say("collect", f"{files} logs of {len(output)} hosts in {where}")


def start_results(request: Request, context: Deployment) -> Results:
    """Makes new results, with the plan in them, and a rehearsal's service model."""
    plan = None if request.plan is None else request.plan.to_dict()
    results = Results.start(context.inventory, plan=plan, versions=local_versions())
    model = lab_dir() / SERVICE_MODEL
    if context.inventory.rehearsal and model.is_file():
        results.write_file(SERVICE_MODEL, model.read_bytes())
    return results


@contextmanager
def connected_context(request: Request) -> Iterator[Any]:
    """Gives the experiment's context, and closes its connections at the end. Checks this machine before any host."""
    experiment = request.experiment
    measures, inventory = request.plan is not None, request.inventory
    if measures:
        with request.console.under_way("prepare", "programs for the hosts"):
            experiment.prepare()
        show_plan(request)
    if experiment.connect is not None:
        with experiment.connect(request) as context:
            request.reached_hosts = True
            yield context
    else:
        with connected(inventory, request.console) as found:
            request.reached_hosts = True
            yield experiment.make_context(found, request)


def _collect(request: Request, context: Any) -> None:
    if request.experiment.collect is not None:
        request.experiment.collect(context)
    else:
        collect_logs(context, request.experiment.scripts)
