"""What every Fabric task has: options alike, faults as one line, an end in order."""

from __future__ import annotations

import functools
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn, Protocol, TypeVar

from invoke.collection import Collection
from invoke.exceptions import Exit
from invoke.tasks import task

from inventory import InventoryError
from workloads.errors import WorkloadError
from workloads.sources import PROJECT

EXIT_INTERRUPTED = 130
EXIT_TERMINATED = 143

F = TypeVar("F", bound=Callable[..., Any])

HELP = {
    "stack": "take the inventory from this Pulumi stack's output",
    "inventory": "take the inventory from this file",
    "plan": "the plan of measurements: short (what a rehearsal takes), full, or a TOML file",
}


def reported(body: F) -> F:
    """Turns a fault into one line and an exit code; an interrupt or SIGTERM ends in order."""

    def terminate(*_: object) -> NoReturn:
        raise SystemExit(EXIT_TERMINATED)

    @functools.wraps(body)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        signal.signal(signal.SIGTERM, terminate)
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as what nohup(1) starts has it
            signal.signal(signal.SIGHUP, terminate)
        try:
            return body(*args, **kwargs)
        except WorkloadError as error:
            raise Exit(f"tidemark: {error.shown}", code=1) from None
        except InventoryError as error:
            raise Exit(f"tidemark: {error}", code=1) from None
        except KeyboardInterrupt:
            raise Exit("tidemark: interrupted; run the task again to go on", code=EXIT_INTERRUPTED) from None
        except OSError as error:
            raise Exit(f"tidemark: {error}; see that the file or directory can be used", code=1) from None

    return wrapper  # type: ignore[return-value]


def run_module(module: str, *arguments: str) -> None:
    """Runs one of the project's other rooms as a process of its own; its exit code is the task's."""
    # It ends with this process, even if that is killed: nobody would read what it says.
    command = ["setpriv", "--pdeathsig", "KILL", "--", sys.executable, "-m", module, *arguments]
    code = subprocess.call(command, cwd=PROJECT)
    if code:
        raise Exit(code=code)


INVENTORY_HELP = {name: HELP[name] for name in ("stack", "inventory")}


class WithPlan(Protocol):
    """A module of tasks, one of which shows a plan."""

    def show_plan(self, plan: str | None, /) -> None: ...


class WithLogs(Protocol):
    """A module of tasks, one of which fetches logs."""

    def collect(self, stack: str | None, file: str | None, /) -> None: ...


class WithAll(Protocol):
    """A module of tasks, one of which does what all others do; it gives the directory of the results."""

    def all_(self, stack: str | None, file: str | None, plan: str | None, /) -> Path: ...


def plan_task(tasks: WithPlan) -> Any:
    """The task `plan` of an experiment, alike for all."""

    @task(help={"plan": HELP["plan"]})
    @reported
    def plan(_: Any, plan: str | None = None) -> None:
        """Show what a plan measures, and for how long."""
        tasks.show_plan(plan)

    return plan


def collect_task(tasks: WithLogs) -> Any:
    """The task `collect` of an experiment, alike for all."""

    @task(help=INVENTORY_HELP)
    @reported
    def collect(_: Any, stack: str | None = None, inventory: str | None = None) -> None:
        """Fetch the hosts' logs into the newest results."""
        tasks.collect(stack, inventory)

    return collect


def all_task(tasks: WithAll, words: str) -> Any:
    """The task `all` of an experiment, up to the report; `words` say what it does."""

    def all_(_: Any, stack: str | None = None, inventory: str | None = None, plan: str | None = None) -> None:
        run_module("report", str(tasks.all_(stack, inventory, plan)))

    all_.__doc__ = words
    return task(name="all", help=HELP)(reported(all_))


def collection(name: str, *tasks: Any) -> Collection:
    """Tasks under a name: `fab NAME.TASK`."""
    found = Collection(name)
    for each in tasks:
        found.add_task(each)
    return found
