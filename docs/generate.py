"""Writes the pages of docs/reference/ that are made from the code: `make docs`.

Tasks come from the Fabric tasks' declarations, the fields of documents from the models that read them (as in schemas/),
the values of plans and service models from their files. tests/test_documents.py checks that the pages are current.
"""

from __future__ import annotations

import copy
import inspect
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any

from invoke.parser.argument import Argument

from fabfile import namespace
from schemas.write import models, schema_of

PROJECT = Path(__file__).resolve().parent.parent
REFERENCE = PROJECT / "docs" / "reference"
MADE = "<!-- Made by `make docs`: edit docs/generate.py, or the help texts and models that it reads. -->\n"
COMMON = "For all experiments"

TASKS = """
`fab` is `.venv/bin/fab`. `fab --list` names the tasks, `fab --help TASK` shows a task's options. Each task
may be stopped at any point and run again. Without `--stack` and `--inventory` a task takes the inventory of
the rehearsal that is running.
"""
INVENTORY = """
An inventory is the one JSON document that tasks know of a deployment: the stack's output `inventory`, or a
file that you write (`--inventory hosts.json`). `fab inventory.example` prints one to start from. A missing,
unknown or malformed field is an error that names the field and what is allowed.
[Interfaces](../interfaces.md#inventory-inventory-schema-1) says how disks and host keys are found.
"""
PLANS = """
A plan says what an experiment measures, and for how long. `--plan` takes a name, `short` (the default) or
`full`, or the path of a TOML file with these fields. An experiment's task `plan` shows what a plan comes to.
The plans are `workloads/<experiment>/plans/*.toml`.
"""
SERVICE_MODELS = """
A service model has the limits that a rehearsal applies: to file systems, or to volumes and networks. `make
rehearse MODEL=NAME` takes a name of `lab/service_models/` or the path of a TOML file with these fields; `fab
lab.model NAME` applies one to a region that is up.
"""
CLAIMS = """
`claims/<experiment>.yaml` holds the published claims of an experiment, and the expressions that test them.
Expressions name fields of `summary.json` (`report/<experiment>/schema.py`). `fab claims` lists all claims
with their newest verdicts.
"""


def pages() -> dict[str, str]:
    """Returns the text of each page by its file's name."""
    return {
        "tasks.md": _page("Tasks", TASKS, _tasks()),
        "inventory.md": _page("Inventory", INVENTORY, _documents("inventory")),
        "plans.md": _page("Plans", PLANS, _documents("plan")),
        "service-models.md": _page("Service models", SERVICE_MODELS, _documents("service-model")),
        "claims.md": _page("Claims", CLAIMS, _documents("claims")),
    }


def arguments_of(task_name: str) -> list[Argument]:
    """Returns a task's arguments with their help, which Task.get_arguments removes from the task."""
    task = copy.copy(namespace[task_name])
    task.help = dict(task.help)
    return list(task.get_arguments())


def _page(title: str, opening: str, lines: Iterable[str]) -> str:
    return "\n".join([MADE, f"# {title}", opening, *lines]).rstrip() + "\n"


def _tasks() -> Iterator[str]:
    names = sorted(namespace.task_names, key=lambda name: (name.rpartition(".")[0], name))
    for group, members in groupby(names, key=lambda name: name.rpartition(".")[0]):
        tasks = list(members)
        options: dict[tuple[str, str], list[str]] = {}
        yield from (f"## {group or COMMON}", "", "| task | does |", "| --- | --- |")
        for name in tasks:
            task = namespace[name]
            given = "".join(f" {argument.upper()}" for argument in task.positional or ())
            yield f"| `{name}{given}` | {_cell(inspect.getdoc(task) or '')} |"
            for argument in arguments_of(name):
                flag = f"--{str(argument.name).replace('_', '-')}"
                options.setdefault((flag, argument.help or ""), []).append(name.rpartition(".")[2])
        if options:
            yield from ("", "| option | of | meaning |", "| --- | --- | --- |")
            for (flag, meaning), of in sorted(options.items()):
                yield f"| `{flag}` | {', '.join(of) if len(of) < len(tasks) else 'every task'} | {_cell(meaning)} |"
        yield ""


def _documents(kind: str) -> Iterator[str]:
    """Yields the fields of one model, or of several whose names begin with `kind`, each under a heading."""
    for name, model in models().items():
        if name.split(".")[0] == kind:
            schema, variant = schema_of(name, model), name.partition(".")[2]
            if variant:
                yield from (f"## {variant}", "")
            yield from _fields(schema, _values(name))
            for inner_name, inner in schema.get("$defs", {}).items():
                heading = "###" if variant else "##"
                yield from (f"{heading} {inner_name}", "", inner.get("description", ""), "", *_fields(inner, {}))


def _values(name: str) -> dict[str, Mapping[str, Any]]:
    """Returns the content of the project's TOML files whose first line names this schema; short before full."""
    found: dict[str, Mapping[str, Any]] = {}
    files = [*PROJECT.glob("workloads/*/plans/*.toml"), *PROJECT.glob("lab/service_models/*.toml")]
    for path in sorted(files, key=lambda path: (path.stem != "short", path.stem)):
        text = path.read_text(encoding="utf-8")
        if text.partition("\n")[0].endswith(f"/{name}.schema.json"):
            found[path.stem] = tomllib.loads(text)
    return found


def _fields(schema: Mapping[str, Any], values: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    yield "| field | meaning |" + "".join(f" {name} |" for name in values)
    yield "| --- | --- |" + " --- |" * len(values)
    required = schema.get("required", ())
    for name, field in schema["properties"].items():
        shown = f"`{name}`" if name in required else f"`{name}` (optional)"
        of_each = "".join(f" {_value(document.get(name))} |" for document in values.values())
        yield f"| {shown} | {_cell(field['description'])} |{of_each}"
    yield ""


def _value(value: Any) -> str:
    """Returns a value of a plan: tables within it have sections of their own."""
    if value is None:
        return "-"
    if isinstance(value, dict):
        return ", ".join(f"{name} {_value(each)}" for name, each in value.items())
    if isinstance(value, list):
        return ("; " if any(isinstance(each, dict) for each in value) else "/").join(_value(each) for each in value)
    return _cell(str(value))


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "\\<")


if __name__ == "__main__":
    for name, text in pages().items():
        (REFERENCE / name).write_text(text, encoding="utf-8")
