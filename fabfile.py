"""Fabric tasks: `fab --list` names them, `fab --help TASK` shows a task's options."""

from __future__ import annotations

import functools
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from invoke.collection import Collection
from invoke.exceptions import Exit
from invoke.tasks import task

from inventory import InventoryError
from workloads.deployment import newest_results
from workloads.errors import WorkloadError
from workloads.md_raid import tasks as md_raid_tasks

PROJECT = Path(__file__).resolve().parent
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
        try:
            return body(*args, **kwargs)
        except (WorkloadError, InventoryError) as error:
            raise Exit(f"tidemark: {error}", code=1) from None
        except KeyboardInterrupt:
            raise Exit("tidemark: interrupted; run the task again to go on", code=EXIT_INTERRUPTED) from None
        except OSError as error:
            raise Exit(f"tidemark: {error}; see that the file or directory can be used", code=1) from None

    return wrapper  # type: ignore[return-value]


def run_module(module: str, *arguments: str) -> None:
    """Runs one of the project's other rooms as a process of its own; its exit code is the task's."""
    code = subprocess.call([sys.executable, "-m", module, *arguments], cwd=PROJECT)
    if code:
        raise Exit(code=code)


@task(help={name: HELP[name] for name in ("stack", "inventory")})
@reported
def configure(_: Any, stack: str | None = None, inventory: str | None = None) -> None:
    """Set up volumes, targets, sessions, mirrors and stripe."""
    md_raid_tasks.configure(stack, inventory)


@task(help={name: HELP[name] for name in ("stack", "inventory")})
@reported
def prove(_: Any, stack: str | None = None, inventory: str | None = None) -> None:
    """Prove the MTU, the hosts' limits, the closed ports."""
    md_raid_tasks.prove(stack, inventory)


@task(help={"plan": HELP["plan"]})
@reported
def plan(_: Any, plan: str | None = None) -> None:
    """Show what a plan measures, and for how long."""
    md_raid_tasks.show_plan(plan)


@task(help=HELP)
@reported
def run(_: Any, stack: str | None = None, inventory: str | None = None, plan: str | None = None) -> None:
    """Measure stripes, a mirror, and the same disks raw."""
    md_raid_tasks.run(stack, inventory, plan)


@task(help=HELP)
@reported
def drill(_: Any, stack: str | None = None, inventory: str | None = None, plan: str | None = None) -> None:
    """Kill two servers during reads; see all come back."""
    md_raid_tasks.drill(stack, inventory, plan)


@task(help={name: HELP[name] for name in ("stack", "inventory")})
@reported
def collect(_: Any, stack: str | None = None, inventory: str | None = None) -> None:
    """Fetch the hosts' logs into the newest results."""
    md_raid_tasks.collect(stack, inventory)


@task(name="all", help=HELP)
@reported
def all_(_: Any, stack: str | None = None, inventory: str | None = None, plan: str | None = None) -> None:
    """Configure, prove, run, drill, collect, and report."""
    directory = md_raid_tasks.all_(stack, inventory, plan)
    run_module("report", str(directory))


@task(help={"run": "a directory below results/ (default: the newest of all)"})
@reported
def report(_: Any, run: str | None = None) -> None:
    """Make tables, verdicts and the page of a run's results."""
    directory = run or str(newest_results())
    run_module("report", directory)


@task
@reported
def up(_: Any) -> None:
    """Start the rehearsal region on this machine."""
    run_module("lab", "up")


@task
@reported
def status(_: Any) -> None:
    """Show what runs in the rehearsal region."""
    run_module("lab", "status")


@task(help={"host": "its name, such as client", "command": "what to run there (default: a shell)"})
@reported
def ssh(_: Any, host: str, command: str | None = None) -> None:
    """Log in to a host of the rehearsal region."""
    run_module("lab", "ssh", host, *([command] if command else []))


@task
@reported
def down(_: Any) -> None:
    """End the rehearsal region and all that is in it."""
    run_module("lab", "down")


def _collection(name: str, *tasks: Any) -> Collection:
    collection = Collection(name)
    for each in tasks:
        collection.add_task(each)
    return collection


namespace = Collection(
    report,
    _collection("md-raid", plan, configure, prove, run, drill, collect, all_),
    _collection("lab", up, status, ssh, down),
)
