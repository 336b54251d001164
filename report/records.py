"""Reads the fields of a record, a JSON object of a raw stream."""

from __future__ import annotations

import functools
import json
import reprlib
import sys
import types
import typing
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

WHOLE_MAX = (1 << 63) - 1  # no count comes near; columns have 64 bits

Record = dict[str, Any]
T = TypeVar("T")


class RecordError(ValueError):
    """A record lacks a field, or has something else in it."""


def shown(value: object) -> str:
    """Writes a value for an error, which is one line: its beginning and end, if it is long."""
    return reprlib.repr(value)


def read_document(text: str) -> Any:
    """Returns a JSON text's value. Raises RecordError where it is not whole, or nested deeper than Python reads."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise RecordError("not whole JSON") from None


def text(record: Record, key: str) -> str:
    value = record.get(key)
    if not isinstance(value, str) or not value:
        raise RecordError(f"{key} must be text, not {shown(value)}")
    return value


def number(record: Record, key: str) -> float:
    value = record.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= sys.float_info.max:
        raise RecordError(f"{key} must be a number, not {shown(value)}")
    return value


def whole(record: Record, key: str) -> int:
    value = record.get(key)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= WHOLE_MAX:
        raise RecordError(f"{key} must be a whole number, not {shown(value)}")
    return value


def natural(record: Record, key: str) -> int:
    """Reads a whole number by which others are divided, so it is not 0. Raises RecordError."""
    if (value := whole(record, key)) == 0:
        raise RecordError(f"{key} must be above 0")
    return value


def boolean(record: Record, key: str) -> bool:
    value = record.get(key)
    if not isinstance(value, bool):
        raise RecordError(f"{key} must be true or false, not {shown(value)}")
    return value


def mapping(record: Record, key: str) -> Record:
    value = record.get(key)
    if not isinstance(value, dict):
        raise RecordError(f"{key} is not an object")
    return value


def objects(record: Record, key: str) -> list[Record]:
    """Returns the objects of a list; what is no object is left out."""
    value = record.get(key)
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def if_there(read: Callable[[Record, str], T], record: Record, key: str) -> T | None:
    """Returns what `read` reads, or None if the record lacks the field."""
    return None if record.get(key) is None else read(record, key)


def number_or_none(record: Record, key: str) -> float | None:
    return if_there(number, record, key)


def whole_or_none(record: Record, key: str) -> int | None:
    return if_there(whole, record, key)


def or_none(read: Callable[[Record, str], T], record: Record | None, key: str) -> T | None:
    """Returns what `read` reads, or None if it raises RecordError."""
    try:
        return None if record is None else read(record, key)
    except RecordError:
        return None


_READERS: dict[Any, Callable[[Record, str], Any]] = {
    str: text,
    float: number,
    int: whole,
    bool: boolean,
    Record: mapping,
}


def without_none(hint: Any) -> Any:
    """Returns T for the type T | None; any other type as it is."""
    rest = [each for each in typing.get_args(hint) if each is not type(None)]
    return rest[0] if isinstance(hint, types.UnionType) and len(rest) == 1 else hint


@functools.cache
def _readers(kind: Any, optional: Callable[..., Any]) -> dict[str, Callable[[Record, str], Any]]:
    """Returns how to read each field of a dataclass that a record can hold; `optional` reads those that may be None."""
    found = {}
    for name, hint in typing.get_type_hints(kind).items():
        if reader := _READERS.get(plain := without_none(hint)):
            found[name] = reader if plain is hint else partial(optional, reader)
    return found


def read_as(kind: Callable[..., T], record: Record, **given: Any) -> T:
    """Makes a dataclass of the record's fields of the same names, but for those that are given. Raises RecordError if
    one is not of the dataclass's type; one that may be None may be missing.
    """
    return _made(kind, if_there, record, given)


def known_as(kind: Callable[..., T], record: Record, **given: Any) -> T:
    """Does the same, with None in each field that may be None and that the record does not have as it should."""
    return _made(kind, or_none, record, given)


def _made(kind: Callable[..., T], optional: Callable[..., Any], record: Record, given: Record) -> T:
    readers = _readers(kind, optional)
    return kind(**{name: read(record, name) for name, read in readers.items() if name not in given}, **given)
