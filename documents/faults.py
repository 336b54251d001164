"""Puts pydantic's errors into words, a line each: the field's path, its value, and what its annotation allows."""

from __future__ import annotations

import dataclasses
import difflib
import functools
import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin, get_type_hints

from documents.model import Model, Path, kind_of

_SHOWN_CHARACTERS = 60
_UNKNOWN_FIELD = ("unexpected_keyword_argument", "invalid_key")


@dataclass(frozen=True)
class Explained:
    """Puts pydantic's errors into words: the field's path, its value, and what its annotation allows."""

    model: type[Model]
    mapping: str

    def lines(self, errors: Collection[Any]) -> Iterator[str]:
        """A line an error. That a field is missing goes unsaid where another is its name misspelt."""
        meant = {(*error["loc"][:-1], self._nearest(error)) for error in errors if error["type"] in _UNKNOWN_FIELD}
        for error in errors:
            if error["type"] != "missing" or error["loc"] not in meant:
                yield self._line(error)

    def _line(self, error: Mapping[str, Any]) -> str:
        location: Path = error["loc"]
        path = _path_text(location) or "the document"
        fault = error.get("ctx", {}).get("fault")
        if error["type"] == "missing":
            return f"{path} is missing; expected {words_of(_hint_at(self.model, location), self.mapping)}"
        if error["type"] in _UNKNOWN_FIELD:
            allowed = ", ".join(field_hints(kind_of(_hint_at(self.model, location[:-1]))[0]))
            near = self._nearest(error)
            return f"{path} is not a field; " + (f"did you mean {near}?" if near else f"allowed are {allowed}")
        if fault is not None and fault.same_as:
            first = _path_text((*location[: len(location) - len(fault.path)], *fault.same_as))
            return f"{path} is {error['input']}, as is {first}; each must be different"
        if fault is not None and fault.path:
            expected = fault.expected
        else:
            hint = _hint_at(self.model, location)
            expected = words_of(hint, self.mapping, fault.expected if fault is not None else "")
        return f"{path} is {shown(error['input'])}; expected {expected}"

    def _nearest(self, error: Mapping[str, Any]) -> str | None:
        allowed = field_hints(kind_of(_hint_at(self.model, error["loc"][:-1]))[0])
        return next(iter(difflib.get_close_matches(str(error["loc"][-1]), allowed, 1)), None)


def words_of(hint: Any, mapping: str, more: str = "") -> str:
    """What a type and its rule allow."""
    kind, nullable, rule = kind_of(hint)
    if rule is not None:
        words = rule.words(kind) + more
    elif kind is bool:
        words = "true or false"
    elif get_origin(kind) is Literal:
        words = f"one of {', '.join(map(str, get_args(kind)))}"
    else:
        words = f"{mapping} with {', '.join(field_hints(kind))}"
    return f"{words}, or null" if nullable and mapping != "a table" else words  # TOML has no null


@functools.cache
def field_hints(model: type[Model]) -> dict[str, Any]:
    """A model's fields by the document's names."""
    hints = get_type_hints(model, include_extras=True)
    rename = model.__pydantic_config__.get("alias_generator", str)
    return {rename(field.name): hints[field.name] for field in dataclasses.fields(model)}  # type: ignore[arg-type]


def _hint_at(hint: Any, location: Path) -> Any:
    """The hint of what is at a location below a model."""
    for step in location:
        kind = kind_of(hint)[0]
        hint = get_args(kind)[0] if isinstance(step, int) else field_hints(kind)[step]
    return hint


def _path_text(path: Path) -> str:
    """hosts[2].volumes[0].id"""
    steps = (f"[{step}]" if isinstance(step, int) else f".{shown(step)[1:-1]}" for step in path)
    return "".join(steps).removeprefix(".")


def shown(value: Any) -> str:
    """The value on one line, as JSON writes it: what would break the line, or could not be seen, is escaped."""
    try:
        text = repr(value) if isinstance(value, float) else json.dumps(value, ensure_ascii=False, default=str)
        text = text if text.isprintable() else json.dumps(value, default=str)
    except ValueError:  # a number that TOML writes as 0x…
        return "a number of thousands of digits"
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[: _SHOWN_CHARACTERS - 3]}..."
