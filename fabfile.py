"""Fabric tasks: `fab --list` names them, `fab --help TASK` shows a task's options.

The first line of each help text has at most 43 characters: then `fab --list` has a line for each task in 80 columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from invoke.collection import Collection
from invoke.tasks import task

from workloads.account_tasks import TASKS as account_tasks
from workloads.experiment import find_experiments
from workloads.fabric_tasks import REQUIRED_HELP, collection, experiment_tasks, reported, run_module
from workloads.inventory_tasks import TASKS as inventory_tasks
from workloads.results import results_root


@task(
    help={
        "run": "a directory below results/ (default: the newest of all)",
        "all": "one page over every experiment",
        "png": "the run's figures as PNG, too, beside its page; SVG is always there",
        "verbose": "print all tables of the page, not the verdicts alone",
    }
)
@reported
def report(_: Any, run: str | None = None, all: bool = False, png: bool = False, verbose: bool = False) -> None:
    """Make the page of a run; print its verdicts.

    With --all: one page over the newest run of every experiment.
    """
    if all:
        run_module("report.overview", "--results", str(results_root()))
        return
    flags = [*(["--png"] if png else []), *(["--verbose"] if verbose else [])]
    run_module("report", "--results", str(results_root()), *flags, *(["--", run] if run is not None else []))


@task
@reported
def claims(_: Any) -> None:
    """List every claim with its newest verdict."""
    run_module("report.ledger", "--results", str(results_root()))


@task(
    help={
        "sql": "a query in DuckDB's SQL over the tables of docs/results-schema.md",
        "export": "make this directory, with a file for each table",
        "format": "of --sql: table (default), csv or json; of --export: csv (default), json or parquet",
    }
)
@reported
def results(_: Any, sql: str | None = None, export: str | None = None, format: str | None = None) -> None:
    """List the runs, query them, or export them."""
    options = {"--sql": sql, "--export": export, "--format": format}
    given = [word for name, value in options.items() if value is not None for word in (name, value)]
    run_module("report.results", "--results", str(results_root()), *given)


@task(
    positional=["base", "new"],
    iterable=["also"],
    help={
        "base": "a run's directory, or a stack: its newest run" + REQUIRED_HELP,
        "new": "the run to compare with it, named in the same way" + REQUIRED_HELP,
        "also": "another run to compare; may be given several times",
        "margin": "percent; a smaller difference does not matter (default: 5)",
    },
)
@reported
def compare(_: Any, base: str, new: str, also: Sequence[str] | None = None, margin: str | None = None) -> None:
    """Compare two runs: better, worse, or same.

    The exit code is 0 for the same, 3 for better, 4 for worse, 5 for too noisy to
    tell, and 2 for runs that cannot be compared.
    """
    options = ["--margin", margin] if margin else []
    run_module("report.compare", "--results", str(results_root()), *options, "--", base, new, *(also or ()))


@task
@reported
def up(_: Any) -> None:
    """Start the rehearsal region."""
    run_module("lab", "up")


@task
@reported
def status(_: Any) -> None:
    """Show what runs in the rehearsal region."""
    run_module("lab", "status")


@task(help={"host": "its name, such as client" + REQUIRED_HELP, "command": "what to run there (default: a shell)"})
@reported
def ssh(_: Any, host: str, command: str | None = None) -> None:
    """Log in to a host of the rehearsal region."""
    run_module("lab", "ssh", host, *([command] if command else []))


@task(help={"name": "none, a name of lab/service_models, or a TOML file" + REQUIRED_HELP})
@reported
def model(_: Any, name: str) -> None:
    """Apply a service model to the region."""
    run_module("lab", "model", name)


@task
@reported
def down(_: Any) -> None:
    """End the rehearsal region and all in it."""
    run_module("lab", "down")


namespace = Collection(
    claims,
    compare,
    report,
    results,
    inventory_tasks,
    account_tasks,
    collection("lab", up, status, ssh, model, down),
    *map(experiment_tasks, find_experiments()),
)
