"""Makes Fabric tasks of the experiments' declarations: faults as one line, an exit code, an orderly end."""

from __future__ import annotations

import inspect
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

from invoke.collection import Collection
from invoke.exceptions import Exit
from invoke.tasks import task

from workloads.errors import WorkloadError
from workloads.experiment import PLAN, REQUIRED, VERBOSE, Experiment, Option, Request, Stage
from workloads.lazy_import import lazy_import
from workloads.paths import PROJECT

if TYPE_CHECKING:
    import inventory
    from workloads import run_stages
else:
    inventory = lazy_import("inventory")
    run_stages = lazy_import("workloads.run_stages")

EXIT_INTERRUPTED = 130
EXIT_TERMINATED = 143
EXIT_PIPE_CLOSED = 141  # as a process that SIGPIPE ends has it in a shell
HELP_WIDTH = 76  # invoke indents it by two columns, and does not wrap it
REQUIRED_HELP = " (required; the flag may be left out)"  # invoke shows neither


def _terminate(*_: object) -> NoReturn:
    raise SystemExit(EXIT_TERMINATED)


def _run_reported(body: Callable[..., object], given: dict[str, Any]) -> None:
    """Calls a task's body: turns a fault into one line and an exit code; an interrupt, SIGTERM or SIGHUP ends it in
    order.
    """
    signal.signal(signal.SIGTERM, _terminate)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup(1) has it ignored
        signal.signal(signal.SIGHUP, _terminate)
    try:
        body(**given)
        print(end="", flush=True)  # so that a reader that has gone is noticed here, and not at Python's exit
    except WorkloadError as error:
        raise Exit(f"tidemark: {error.shown}", code=1) from None
    except inventory.InventoryError as error:
        raise Exit(f"tidemark: {error}", code=1) from None
    except KeyboardInterrupt:
        raise Exit("tidemark: interrupted; run the task again to go on", code=EXIT_INTERRUPTED) from None
    except BrokenPipeError:  # `fab claims | head` has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what Python writes at its exit
        raise Exit(code=EXIT_PIPE_CLOSED) from None
    except OSError as error:
        raise Exit(f"tidemark: {error}; see that the file or directory can be used", code=1) from None


def run_module(module: str, *arguments: str) -> None:
    """Runs a module of the project as a process of its own; its exit code is the task's."""
    # It ends with this process, even if that is killed.
    command = ["setpriv", "--pdeathsig", "KILL", "--", sys.executable, "-m", module, *arguments]
    code = subprocess.call(command, cwd=PROJECT)
    if code:
        raise Exit(code=code)


def experiment_tasks(experiment: Experiment) -> Collection:
    """Returns all tasks of an experiment: `plan`, its stages, `collect` and `all`, and those of its own."""

    def add(name: str, help: str, body: Callable[[Request], object], *options: Option) -> None:
        tasks.add_task(make_task(name, help, lambda **given: _call(body, Request(experiment, name, given)), *options))

    tasks, common, stages = Collection(experiment.name), experiment.options, experiment.stages
    if experiment.plan is not None:
        add("plan", "Show what a plan measures, and how long.", lambda request: run_stages.show_plan(request), PLAN)
    for stage in stages:
        if stage.help:
            add(stage.name, stage.help, partial(_run, stage), *common, *_options_of(stage))
    for own in experiment.tasks:
        reports = (VERBOSE,) if own.reports else ()
        add(own.name, own.help, own.body, *own.options, *(common if own.common else ()), *reports)
    if stages:
        collected = "Fetch the hosts' logs into the results."
        add("collect", collected, lambda request: run_stages.collect(request), *common)
        options = dict.fromkeys(option for stage in stages for option in _options_of(stage))
        add("all", experiment.all_help, lambda request: run_stages.run_all(request), *common, *options, VERBOSE)
    return tasks


def _options_of(stage: Stage) -> tuple[Option, ...]:
    return (PLAN, *stage.options) if stage.takes_plan else stage.options


def _call(body: Callable[[Request], object], request: Request) -> None:
    """Calls a task's body; an error of a run on hosts names the command that shows more.

    A task with the option --verbose returns the directory of its results, whose report follows.
    """
    try:
        results = body(request)
    except WorkloadError as error:
        if request.reached_hosts:
            error.detail = (*error.detail, _where_more_is(request))
        raise
    if VERBOSE.name in request.options:
        run_module("report", str(results), *(["--verbose"] if request.options[VERBOSE.name] else []))


def _where_more_is(request: Request) -> str:
    name = request.experiment.name
    if request.inventory.rehearsal:
        return f"`make rehearse EXPERIMENT={name} KEEP=1` leaves the hosts up; then `fab lab.ssh HOST` logs in to one"
    given = " ".join(f"--{key} {value}" for key in ("stack", "inventory") if (value := request.options.get(key)))
    return f"`fab {name}.collect {given}` fetches the hosts' logs"


def _run(stage: Stage, request: Request) -> None:
    run_stages.run_stage(request, stage)


def make_task(name: str, help: str, body: Callable[..., object], *options: Option) -> Any:
    """Returns a Fabric task that calls `body` with its options by name. Invoke reads them from the signature."""

    def wrapper(_: Any, **given: Any) -> None:
        _run_reported(body, given)

    shown: Any = wrapper
    shown.__doc__ = "\n".join(textwrap.fill(line, HELP_WIDTH, break_on_hyphens=False) for line in help.splitlines())
    context = inspect.Parameter("_", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    shown.__signature__ = inspect.Signature([context, *(_parameter(option) for option in options)])
    repeatable = [option.name for option in options if option.repeatable]
    required = [option.name for option in options if option.default is REQUIRED]
    described = {each.name: each.help + REQUIRED_HELP if each.default is REQUIRED else each.help for each in options}
    return task(name=name, iterable=repeatable, positional=required, help=described)(shown)


def _parameter(option: Option) -> inspect.Parameter:
    default = inspect.Parameter.empty if option.default is REQUIRED else option.default
    return inspect.Parameter(option.name, inspect.Parameter.KEYWORD_ONLY, default=default)
