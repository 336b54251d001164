"""Reads a document's text into its model, strictly."""

from __future__ import annotations

import errno
import functools
import json
import os
import tomllib
from pathlib import Path
from typing import Any, TypeVar

from documents.faults import Explained, shown
from documents.model import Model

MOST_BYTES = 16 << 20  # an inventory of a thousand hosts has one
MOST_FAULTS = 20  # more than a screen of them help nobody


class DocumentError(ValueError):
    """A document that can't be used. Each of `lines` names the source, the field, and what is allowed there."""

    def __init__(self, *lines: str) -> None:
        self.lines = lines
        super().__init__("\n".join(lines))


M = TypeVar("M", bound=Model)


def read_text(path: Path) -> str:
    """A document's text. Raises OSError, also for what has no end, such as /dev/zero, or UnicodeDecodeError."""
    with path.open("rb") as file:
        content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), str(path))
    return content.decode("utf-8")


def read(model: type[M], document: Any, source: str, mapping: str = "an object") -> M:
    """The model's instance. `document` is what a parser gave; `mapping` is what its language calls an object.

    Raises DocumentError with all faults, as far as they can be found at once.
    """
    from pydantic import ValidationError

    try:
        return _adapter(model).validate_python(document)  # type: ignore[no-any-return, arg-type]
    except ValidationError as error:
        lines = list(Explained(model, mapping).lines(error.errors(include_url=False)))
        more = [f"and {len(lines) - MOST_FAULTS} more"] if len(lines) > MOST_FAULTS else []
        raise DocumentError(*(f"{source}: {line}" for line in [*lines[:MOST_FAULTS], *more])) from None


def read_json(text: str, source: str) -> Any:
    """The values of a JSON text that every reader reads alike: no field twice, no NaN."""
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
    """The values of a TOML text."""
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
            raise DocumentError(f"the field {shown(name)[1:-1]} appears twice in one object; leave one")
    return dict(pairs)


def _refuse_constant(name: str) -> Any:
    raise DocumentError(f"{name} is not JSON; leave the field null when there is no number")


@functools.cache
def _adapter(model: Any) -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(model)
