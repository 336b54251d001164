"""The JSON Schemas are those of the models, and every document of the project is right by them."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
import yaml

from schemas.write import SCHEMAS, models, text_of
from tests.test_inventory import EXAMPLE, WITH_FILE_SYSTEM

PROJECT = SCHEMAS.parent
MODELS = models()
WRITTEN = [
    *sorted(PROJECT.glob("workloads/*/plans/*.toml")),
    *sorted(PROJECT.glob("lab/service_models/*.toml")),
    *sorted(PROJECT.glob("claims/*.yaml")),
]


def schema(name: str) -> dict[str, Any]:
    """The committed schema."""
    return json.loads((SCHEMAS / f"{name}.schema.json").read_text(encoding="utf-8"))  # type: ignore[no-any-return]


@pytest.mark.parametrize("name", MODELS)
def test_a_schema_is_current(name: str) -> None:
    committed = (SCHEMAS / f"{name}.schema.json").read_text(encoding="utf-8")
    assert committed == text_of(name, MODELS[name]), "run `make schemas`"


def test_every_schema_has_its_model() -> None:
    assert {path.name for path in SCHEMAS.glob("*.json")} == {f"{name}.schema.json" for name in MODELS}


@pytest.mark.parametrize("name", MODELS)
def test_every_field_is_described_and_no_other_is_allowed(name: str) -> None:
    found = schema(name)
    jsonschema.Draft202012Validator.check_schema(found)
    for each in (found, *found.get("$defs", {}).values()):
        assert each["additionalProperties"] is False
        assert all(field["description"] for field in each["properties"].values())


def test_units_are_told() -> None:
    network = schema("inventory")["$defs"]["Network"]["properties"]["mtu"]
    assert network["description"].endswith("(a whole number of bytes from 576 to 65535)")
    assert (network["minimum"], network["maximum"]) == (576, 65535)


@pytest.mark.parametrize("path", WRITTEN, ids=lambda path: str(path.relative_to(PROJECT)))
def test_a_document_names_its_schema_and_is_right_by_it(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    named = re.match(r"#(?::schema | yaml-language-server: \$schema=)(\S+)\n", text)
    assert named is not None
    found = (path.parent / named[1]).resolve()
    experiment = path.parent.parent.name.replace("_", "-")
    document = tomllib.loads(text) if path.suffix == ".toml" else yaml.safe_load(text)
    kinds = {"claims": "claims", "plans": f"plan.{experiment}"}
    kinds["service_models"] = f"service-model.{document.get('kind')}"
    assert found == SCHEMAS / f"{kinds[path.parent.name]}.schema.json"
    jsonschema.validate(document, json.loads(found.read_text(encoding="utf-8")), jsonschema.Draft202012Validator)


@pytest.mark.parametrize("document", [EXAMPLE, WITH_FILE_SYSTEM, {"$schema": "x", **EXAMPLE}])
def test_an_inventory_is_right_by_its_schema(document: dict[str, Any]) -> None:
    jsonschema.validate(document, schema("inventory"), jsonschema.Draft202012Validator)


@pytest.mark.parametrize(
    "wrong",
    [
        {"schema": 2},
        {"hosts": []},
        {"hosts": [{**EXAMPLE["hosts"][0], "port": "22"}]},
        {"hosts": [{**EXAMPLE["hosts"][0], "adress": "54.1.2.3"}]},
        {"region": " "},
        {"network": {"mtu": 90, "cidr": "10.20.0.0/16", "vpc_id": None}},
        {"bucket": {"name": "a..b", "endpoint": None, "uplink_mbit_per_s": None}},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
def test_a_schema_refuses_what_the_model_refuses(wrong: dict[str, Any]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(EXAMPLE | wrong, schema("inventory"), jsonschema.Draft202012Validator)
