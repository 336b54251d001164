"""Reads a document's text into its model, strictly, and puts each fault into one line.

Such a line has the field's path, its value, and what its annotation allows.
"""

from __future__ import annotations

import dataclasses
import difflib
import errno
import functools
import json
import os
import tomllib
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from documents.model import FieldPath, Model, kind_of

MOST_BYTES = 16 << 20  # an inventory of a thousand hosts has one
MOST_FAULTS = 20  # more than a screen of them help nobody
_SHOWN_CHARACTERS = 60
_UNKNOWN_FIELD = ("unexpected_keyword_argument", "invalid_key")


class DocumentError(ValueError):
    """A document that can't be used. Each of `lines` names the source, the field, and what is allowed there."""

    def __init__(self, *lines: str) -> None:
        self.lines = lines
        super().__init__("\n".join(lines))


M = TypeVar("M", bound=Model)


def read_text(path: Path) -> str:
    """Reads a document's text. Raises OSError, also for what has no end, such as /dev/zero, or UnicodeDecodeError."""
    with path.open("rb") as file:
        content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), str(path))
    return content.decode("utf-8")


def read(model: type[M], document: Any, source: str, mapping: str = "an object") -> M:
    """Returns an instance of the model. `document` is a parser's result, `mapping` what its language calls an object.

    Raises DocumentError with all faults, as far as they can be found at once.
    """
    from pydantic import ValidationError

    try:
        return _adapter(model).validate_python(document)  # type: ignore[no-any-return, arg-type]
    except ValidationError as error:
        lines = list(_fault_lines(error.errors(include_url=False), model, mapping))
        more = [f"and {len(lines) - MOST_FAULTS} more"] if len(lines) > MOST_FAULTS else []
        raise DocumentError(*(f"{source}: {line}" for line in [*lines[:MOST_FAULTS], *more])) from None


def read_json(text: str, source: str) -> Any:
    """Returns the values of a JSON text that every reader reads alike: no field twice, no NaN."""
    try:
        return json.loads(text, object_pairs_hook=_without_repeats, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno} column {error.colno}"
        raise DocumentError(f"{source}: {where} is not JSON ({error.msg}); expected one JSON object") from None
    except DocumentError as error:
        raise DocumentError(*(f"{source}: {line}" for line in error.lines)) from None
    except ValueError:  # Python reads 4300 digits (sys.set_int_max_str_digits)
        raise DocumentError(f"{source}: a number has thousands of digits; correct that number") from None
    except RecursionError:
        raise DocumentError(f"{source}: is nested too deeply; expected one JSON object") from None


def read_toml(text: str, source: str) -> Any:
    """Returns the values of a TOML text."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise DocumentError(f"{source}: not TOML ({error}); correct that line") from None
    except ValueError:
        raise DocumentError(f"{source}: a number has thousands of digits; correct that number") from None
    except RecursionError:
        raise DocumentError(f"{source}: is nested too deeply; correct it") from None


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    for name in names:
        if names.count(name) > 1:
            raise DocumentError(f"the field {_shown(name)[1:-1]} appears twice in one object; leave one")
    return dict(pairs)


def _refuse_constant(name: str) -> Any:
    raise DocumentError(f"{name} is not JSON; leave the field null when there is no number")


@functools.cache
def _adapter(model: Any) -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(model)


def _fault_lines(errors: Collection[Any], model: type[Model], mapping: str) -> Iterator[str]:
    """Yields a line for each of pydantic's errors, but for none of a missing field whose name another one misspells."""
    meant = {(*error["loc"][:-1], _nearest(error, model)) for error in errors if error["type"] in _UNKNOWN_FIELD}
    for error in errors:
        if error["type"] != "missing" or error["loc"] not in meant:
            yield _fault_line(error, model, mapping)


def _fault_line(error: Mapping[str, Any], model: type[Model], mapping: str) -> str:
    location: FieldPath = error["loc"]
    path = _path_text(location) or "the document"
    fault = error.get("ctx", {}).get("fault")
    if error["type"] == "missing":
        return f"{path} is missing; expected {words_of(_hint_at(model, location), mapping)}"
    if error["type"] in _UNKNOWN_FIELD:
        allowed = ", ".join(field_hints(kind_of(_hint_at(model, location[:-1]))[0]))
        near = _nearest(error, model)
        return f"{path} is not a field; " + (f"did you mean {near}?" if near else f"allowed are {allowed}")
    if fault is not None and fault.same_as:
        first = _path_text((*location[: len(location) - len(fault.path)], *fault.same_as))
        return f"{path} is {error['input']}, as is {first}; each must be different"
    if fault is not None and fault.path:
        expected = fault.expected
    else:
        expected = words_of(_hint_at(model, location), mapping, fault.expected if fault is not None else "")
    return f"{path} is {_shown(error['input'])}; expected {expected}"


def _nearest(error: Mapping[str, Any], model: type[Model]) -> str | None:
    allowed = field_hints(kind_of(_hint_at(model, error["loc"][:-1]))[0])
    return next(iter(difflib.get_close_matches(str(error["loc"][-1]), allowed, 1)), None)


def words_of(hint: Any, mapping: str, more: str = "") -> str:
    """Returns in words what a type and its rule allow."""
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
    """Returns a model's fields by the document's names."""
    hints = get_type_hints(model, include_extras=True)
    rename = model.__pydantic_config__.get("alias_generator", str)
    return {rename(field.name): hints[field.name] for field in dataclasses.fields(model)}  # type: ignore[arg-type]


def _hint_at(hint: Any, location: FieldPath) -> Any:
    """Returns the type hint of what is at a location below a model."""
    for step in location:
        kind = kind_of(hint)[0]
        hint = get_args(kind)[0] if isinstance(step, int) else field_hints(kind)[step]
    return hint


def _path_text(path: FieldPath) -> str:
    """Writes a path as hosts[2].volumes[0].id."""
    steps = (f"[{step}]" if isinstance(step, int) else f".{_shown(step)[1:-1]}" for step in path)
    return "".join(steps).removeprefix(".")


def _shown(value: Any) -> str:
    """Writes a value on one line, as JSON does: what would break the line, or could not be seen, is escaped."""
    try:
        text = repr(value) if isinstance(value, float) else json.dumps(value, ensure_ascii=False, default=str)
        text = text if text.isprintable() else json.dumps(value, default=str)
    except ValueError:  # a number that TOML writes as 0x…
        return "a number of thousands of digits"
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[: _SHOWN_CHARACTERS - 3]}..."
