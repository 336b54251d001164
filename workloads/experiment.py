"""The declaration of an experiment for fabfile.py: `EXPERIMENT` in workloads/<experiment>/experiment.py.

Only light modules are imported here and there, since `fab --list` reads all of them.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from workloads import load_inventory
from workloads.errors import WorkloadError
from workloads.lazy_import import lazy_import

if TYPE_CHECKING:
    from inventory import Inventory
    from workloads import console
    from workloads.deployment import Deployment
else:
    console = lazy_import("workloads.console")

REQUIRED = object()
"""The default of an option that must be given."""


@dataclass(frozen=True)
class Option:
    """An option of a task: `--name`. A default of False makes a flag; a `repeatable` option gives a list.

    Numbers are given as text, and read by Request.integer: Fabric answers what is no number with a traceback.
    """

    name: str
    help: str
    default: Any = None
    repeatable: bool = False


STACK = Option("stack", "the Pulumi stack whose outputs have the inventory")
INVENTORY = Option("inventory", "the JSON file of the inventory (default, without --stack: the running rehearsal's)")
VERBOSE = Option("verbose", "print all tables of the report, not the verdicts alone", False)
PLAN = Option("plan", "what is measured, for how many seconds: short (default), full, or the path of a TOML file")


class Request:
    """One call of a task. The plan and the inventory that its options name are read when they are first asked for."""

    def __init__(self, experiment: Experiment, task: str, options: Mapping[str, Any]) -> None:
        self.experiment = experiment
        self.task = task
        self.options = options
        self.reached_hosts = False
        """Whether all hosts have answered: then they may have logs about a failure."""

    @cached_property
    def console(self) -> console.Console:
        """Where the task reports to."""
        return console.Console()

    @cached_property
    def plan(self) -> Any:
        """The plan that --plan names; None where the task has no such option. Raises WorkloadError."""
        plan = self.experiment.plan
        return None if plan is None or "plan" not in self.options else plan.load(self.options["plan"])

    @cached_property
    def inventory(self) -> Inventory:
        """The inventory, which has passed the experiment's check. Raises WorkloadError or InventoryError."""
        inventory = load_inventory.load(self.options.get("stack"), self.options.get("inventory"))
        self.experiment.check(inventory, self)
        return inventory

    def integer(self, name: str, least: int, most: int) -> int | None:
        """Returns an option as a whole number; None when it is not given. Raises WorkloadError out of bounds."""
        text = self.options[name]
        if text is None:
            return None
        try:
            number = int(text)
        except ValueError:
            number = least - 1
        if not least <= number <= most:
            raise WorkloadError(f"--{name.replace('_', '-')} {text} is out of range", f"allowed are {least} to {most}")
        return number


@dataclass(frozen=True)
class PlanFormat:
    """An experiment's plans of measurements: how one is loaded by name or path, and described in lines for a person."""

    load: Callable[[str | None], Any]
    describe: Callable[[Any], Sequence[str]]


@dataclass(frozen=True)
class Stage:
    """A part of an experiment, and the task of that name. `body` takes the context and the plan.

    `results` says where the task records: nowhere (None), in the stack's newest results, or in new ones; a stage that
    begins new results is preceded by the stage "configure", when there is one. `takes_plan` gives the task --plan;
    without it the plan is None. A stage without `help` is a part of the task `all` only.
    """

    name: str
    help: str
    body: Callable[[Any, Any], object]
    results: Literal["newest", "new"] | None = None
    takes_plan: bool = True
    options: tuple[Option, ...] = ()


@dataclass(frozen=True)
class Task:
    """A task that is no stage. `body` takes the request, and reads from it what it needs, in its own order.

    `common` gives it the experiment's common options, too. With `reports` the body returns the directory of results,
    and their report follows.
    """

    name: str
    help: str
    body: Callable[[Request], object]
    options: tuple[Option, ...] = ()
    common: bool = True
    reports: bool = False


@dataclass(frozen=True)
class Experiment:
    """One experiment.

    `prepare` looks at what a measurement needs on this machine. `check` refuses an inventory that lacks what the
    experiment needs, or a plan that asks for more than the inventory has. Both come before any host is touched.
    `make_context` gives the context in which stages run, from connections to all hosts; `connect` does it for an
    experiment that can't have such connections. `options` are those of every task but `plan`.

    `all_help` describes the task `all`, which runs all stages in order, collects logs, and reports. `collect` collects
    the logs where the stages' connections can't be used for it; `collect_after_failure` does it when a stage failed,
    too.
    """

    name: str
    scripts: Path
    plan: PlanFormat | None = None
    prepare: Callable[[], object] = lambda: None
    check: Callable[[Inventory, Request], object] = lambda *_: None
    make_context: Callable[[Deployment, Request], Any] = lambda deployment, _: deployment
    connect: Callable[[Request], AbstractContextManager[Any]] | None = None
    options: tuple[Option, ...] = (STACK, INVENTORY)
    stages: tuple[Stage, ...] = ()
    tasks: tuple[Task, ...] = ()
    all_help: str = ""
    collect: Callable[[Any], object] | None = None
    collect_after_failure: bool = False


def find_experiments() -> Iterator[Experiment]:
    """Yields the `EXPERIMENT` of each workloads/*/experiment.py, by the name of its folder."""
    for path in sorted(Path(__file__).parent.glob("*/experiment.py")):
        yield importlib.import_module(f"{__package__}.{path.parent.name}.experiment").EXPERIMENT
