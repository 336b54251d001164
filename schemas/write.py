"""Writes the JSON Schemas of the documents that people write, from the models that read them: `make schemas`.

An editor completes and checks a document by its schema. A plan or a service model names it in its first line
(`#:schema`), and so does a claims file (`# yaml-language-server:`); an inventory does in the field $schema.
"""

from __future__ import annotations

import ast
import dataclasses
import importlib
import inspect
import json
import textwrap
from pathlib import Path
from typing import Any, get_args

from documents import Model, field_hints, kind_of, words_of

SCHEMAS = Path(__file__).resolve().parent
WORKLOADS = SCHEMAS.parent / "workloads"


def models() -> dict[str, type[Model]]:
    """Returns every document's model by its schema's name."""
    found = {"inventory": "inventory:InventoryFile"}
    found["service-model.file-system"] = "lab.service_model:FileSystemModel"
    found["service-model.block-storage"] = "lab.service_model:BlockStorageModel"
    found["claims"] = "report.claims:Ledger"
    for path in sorted(WORKLOADS.glob("*/plan.py")):
        found[f"plan.{path.parent.name.replace('_', '-')}"] = f"workloads.{path.parent.name}.plan:Plan"
    split = {name: place.split(":") for name, place in found.items()}
    return {name: getattr(importlib.import_module(module), each) for name, (module, each) in split.items()}


def schema_of(name: str, model: type[Model]) -> dict[str, Any]:
    """Returns a model's JSON Schema. Each field is described by its docstring and by what an error says is expected."""
    from pydantic import TypeAdapter
    from pydantic.json_schema import GenerateJsonSchema

    schema: dict[str, Any] = TypeAdapter(model).json_schema()
    for each in _with_inner(model):
        at = schema if each is model else schema["$defs"][each.__name__]
        docstrings = _docstrings(each)
        for field, (shown, hint) in zip(dataclasses.fields(each), field_hints(each).items(), strict=True):  # type: ignore[arg-type]
            expected = words_of(hint, "an object")
            known = docstrings.get(field.name)
            at["properties"][shown]["description"] = f"{known} ({expected})" if known else expected
            at["properties"][shown].pop("title", None)
    return {"$schema": GenerateJsonSchema.schema_dialect, **schema, "title": f"tidemark: {name}"}


def _with_inner(model: type[Model]) -> list[type[Model]]:
    """Returns a model and all that are below it."""
    found = [model]
    for each in found:
        for hint in field_hints(each).values():  # type: ignore[arg-type]
            kind = kind_of(hint)[0]
            below = [kind, *(kind_of(item)[0] for item in get_args(kind))]
            found += [x for x in below if inspect.isclass(x) and issubclass(x, Model) and x not in found]
    return found


def _docstrings(model: type[Model]) -> dict[str, str]:
    """Returns the strings below a model's fields, those that it inherits too."""
    found = {}
    for each in model.__mro__:
        if issubclass(each, Model):
            (node,) = ast.parse(textwrap.dedent(inspect.getsource(each))).body
            assert isinstance(node, ast.ClassDef)
            for before, after in zip(node.body, node.body[1:], strict=False):
                if isinstance(before, ast.AnnAssign) and isinstance(after, ast.Expr):
                    found[ast.unparse(before.target)] = str(ast.literal_eval(after.value))
    return found


def text_of(name: str, model: type[Model]) -> str:
    """Returns the text of a schema's file."""
    return json.dumps(schema_of(name, model), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    for name, model in models().items():
        (SCHEMAS / f"{name}.schema.json").write_text(text_of(name, model), encoding="utf-8")
