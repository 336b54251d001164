"""Fabric tasks: `fab --list` names them, `fab --help TASK` shows a task's options.

The first line of each help text has at most 43 characters: then `fab --list` has a line for each task in 80 columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from invoke.collection import Collection

from workloads.experiment import REQUIRED, Option, find_experiments
from workloads.fabric_tasks import experiment_tasks, make_task, run_module
from workloads.lazy_import import lazy_import
from workloads.paths import results_root

if TYPE_CHECKING:
    from workloads import account, account_reap, inventory_example
else:
    names = ("account", "account_reap", "inventory_example")
    account, account_reap, inventory_example = (lazy_import(f"workloads.{name}") for name in names)

REGION = Option("region", "ask only this region (default: every region that is enabled)")


def report(run: str | None, all: bool, png: bool, verbose: bool) -> None:
    """Makes the page of a run, or the overview of all experiments."""
    if all:
        run_module("report.overview", "--results", str(results_root()))
        return
    flags = [*(["--png"] if png else []), *(["--verbose"] if verbose else [])]
    run_module("report", "--results", str(results_root()), *flags, *(["--", run] if run is not None else []))


def results(**options: str | None) -> None:
    """Lists, queries or exports the runs."""
    given = [word for name, value in options.items() if value is not None for word in (f"--{name}", value)]
    run_module("report.results", "--results", str(results_root()), *given)


def compare(base: str, new: str, also: Sequence[str], margin: str | None) -> None:
    """Compares runs."""
    options = ["--margin", margin] if margin else []
    run_module("report.compare", "--results", str(results_root()), *options, "--", base, new, *also)


namespace = Collection(
    make_task(
        "claims",
        "List every claim with its newest verdict.",
        lambda: run_module("report.ledger", "--results", str(results_root())),
    ),
    make_task(
        "compare",
        "Compare two runs: better, worse, or same.\n\n"
        "The exit code is 0 for the same, 3 for better, 4 for worse, 5 for too noisy to tell, and 2 for runs that "
        "cannot be compared.",
        compare,
        Option("base", "a run's directory, or a stack: its newest run", REQUIRED),
        Option("new", "the run to compare with it, named in the same way", REQUIRED),
        Option("also", "another run to compare; may be given several times", repeatable=True),
        Option("margin", "percent; a smaller difference does not matter (default: 5)"),
    ),
    make_task(
        "report",
        "Make the page of a run; print its verdicts.\n\nWith --all: one page over the newest run of every experiment.",
        report,
        Option("run", "a directory below results/ (default: the newest of all)"),
        Option("all", "one page over every experiment", False),
        Option("png", "the run's figures as PNG, too, beside its page; SVG is always there", False),
        Option("verbose", "print all tables of the page, not the verdicts alone", False),
    ),
    make_task(
        "results",
        "List the runs, query them, or export them.",
        results,
        Option("sql", "a query in DuckDB's SQL over the tables of docs/results-schema.md"),
        Option("export", "make this directory, with a file for each table"),
        Option("format", "of --sql: table (default), csv or json; of --export: csv (default), json or parquet"),
    ),
    Collection(
        "inventory",
        make_task(
            "example",
            "Print an inventory to start from.\n\n"
            "Put in your machines' addresses, ids and host keys (docs/how-to/own-machines.md).",
            lambda experiment: print(inventory_example.example_json(experiment)),
            Option("experiment", "its name, as `fab --list` has it", REQUIRED),
        ),
    ),
    Collection(
        "account",
        make_task(
            "check",
            "List what is left in the AWS account.\n\nThe exit code is 0 when nothing is left, and 1 otherwise.",
            lambda **given: account.check(**given),
            REGION,
        ),
        make_task(
            "reap",
            "Delete what has expired.\n\n"
            "Finds resources by this project's tags, shows them, and asks before it deletes anything. After an "
            "interruption, the next call goes on.",
            lambda **given: account_reap.reap(**given),
            REGION,
            Option(
                "stack", "delete what belongs to this stack, expired or not (default: what has expired, of any stack)"
            ),
            Option("orphans", "delete what no state of the Pulumi backend knows, expired or not", False),
            Option("backend", "with --orphans: the backend's URL (default: the one that you are logged in to)"),
            Option(
                "include",
                "the id of a protected volume, file system or bucket to delete, too; may be given several times",
                repeatable=True,
            ),
            Option("yes", "do not ask", False),
            Option("dry_run", "show what would be deleted, and delete nothing", False),
        ),
        make_task(
            "cost",
            "Show what is running, and what it costs.\n\n"
            "Shows dollars an hour and since creation for everything that has this project's tags, by stack.",
            lambda **given: account.cost(**given),
            REGION,
        ),
    ),
    Collection(
        "lab",
        make_task("up", "Start the rehearsal region.", lambda: run_module("lab", "up")),
        make_task("status", "Show what runs in the rehearsal region.", lambda: run_module("lab", "status")),
        make_task(
            "ssh",
            "Log in to a host of the rehearsal region.",
            lambda host, command: run_module("lab", "ssh", host, *([command] if command else [])),
            Option("host", "its name, such as client", REQUIRED),
            Option("command", "what to run there (default: a shell)"),
        ),
        make_task(
            "model",
            "Apply a service model to the region.",
            lambda name: run_module("lab", "model", name),
            Option("name", "none, a name of lab/service_models, or a TOML file", REQUIRED),
        ),
        make_task("down", "End the rehearsal region and all in it.", lambda: run_module("lab", "down")),
    ),
    *map(experiment_tasks, find_experiments()),
)
