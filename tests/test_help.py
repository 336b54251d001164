"""What `fab --list`, `fab --help TASK` and `make` show."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest
from invoke.util import helpline

from docs.generate import arguments_of
from fabfile import namespace
from tests.workloads.fabric_task import fab

PROJECT = Path(__file__).parent.parent
WIDTH = 80


def test_the_list_has_one_line_for_each_task() -> None:
    listing = fab("--list", COLUMNS=str(WIDTH))
    lines = [line for line in listing.stdout.splitlines()[1:] if line.strip()]
    assert max(map(len, lines)) < WIDTH
    assert sorted(line.split()[0] for line in lines) == sorted(namespace.task_names), "a folded line has no task's name"


@pytest.mark.parametrize("name", namespace.task_names)
def test_a_task_and_its_options_are_described(name: str) -> None:
    task = namespace[name]
    assert helpline(task)
    assert max(map(len, (inspect.getdoc(task) or "").splitlines())) <= WIDTH - 2
    for argument in arguments_of(name):
        assert argument.help, f"--{argument.name}"
        if isinstance(argument.default, str):
            assert f"default: {argument.default}" in argument.help or f"{argument.default} (default)" in argument.help


def test_an_option_that_may_be_repeated_is_a_list() -> None:
    """With a tuple as its default, Invoke made a tuple of each value's characters."""
    repeatable = [
        (name, argument)
        for name in namespace.task_names
        for argument in arguments_of(name)
        if argument.kind not in (str, bool, int)
    ]
    assert {("account.reap", "include"), ("compare", "also")} <= {(name, each.name) for name, each in repeatable}
    assert [(name, each.name) for name, each in repeatable if each.kind is not list] == []


def test_make_alone_lists_the_targets_and_variables() -> None:
    shown = subprocess.run(["make", "--no-print-directory"], cwd=PROJECT, capture_output=True, text=True, check=True)
    text = (PROJECT / "Makefile").read_text()
    for name in re.findall(r"^([a-z-]+):.*## |^([A-Z]+) \?=", text, re.MULTILINE):
        assert re.search(rf"^  {''.join(name)} +\S", shown.stdout, re.MULTILINE), name
    assert max(map(len, shown.stdout.splitlines())) < WIDTH


@pytest.mark.parametrize(
    "module", ["report", "report.ledger", "report.overview", "lab", "workloads.throttle", "bench.page"]
)
def test_help_does_not_need_the_docstrings(module: str) -> None:
    """PYTHONOPTIMIZE=2 in a person's environment leaves them out."""
    shown = subprocess.run([sys.executable, "-OO", "-m", module, "--help"], cwd=PROJECT, capture_output=True, text=True)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert shown.stdout.startswith("usage: ")
