"""Reads the fields of a record, a JSON object of a raw stream."""

from __future__ import annotations

import json
import reprlib
import sys
from collections.abc import Callable
from typing import Any, TypeVar

WHOLE_MAX = (1 << 63) - 1  # no count comes near; columns have 64 bits

Record = dict[str, Any]
T = TypeVar("T")


class RecordError(ValueError):
    """A record lacks a field, or has something else in it."""


def shown(value: object) -> str:
    """The value for an error, which is one line: its beginning and end, if it is long."""
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
    """A whole number of what there must be one of, by which others are divided."""
    if (value := whole(record, key)) == 0:
        raise RecordError(f"{key} must be above 0")
    return value


def boolean(record: Record, key: str) -> bool:
    value = record.get(key)
    if not isinstance(value, bool):
        raise RecordError(f"{key} must be true or false, not {shown(value)}")
    return value


def number_or_none(record: Record, key: str) -> float | None:
    return None if record.get(key) is None else number(record, key)


def whole_or_none(record: Record, key: str) -> int | None:
    return None if record.get(key) is None else whole(record, key)


def or_none(read: Callable[[Record, str], T], record: Record | None, key: str) -> T | None:
    """What `read` reads, or None where it raises RecordError."""
    try:
        return None if record is None else read(record, key)
    except RecordError:
        return None
