"""A plan of measurements is a TOML file; here is what reads one strictly, whatever experiment it is of.

A field that is missing, unknown or malformed is named by its path, since a misspelt one would have no effect.
"""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, NoReturn

from workloads.errors import WorkloadError
from workloads.user_path import user_path

NAME_CHARACTERS = 100  # it stands in one line with other words


def read_file(which: str | None, plans: Path) -> tuple[str, str]:
    """The text of the plan called `which` in the folder `plans` (short when None), or of the file of that path; and its
    path, for messages.
    """
    name = "short" if which is None else which
    try:
        path = plans / f"{name}.toml"
        if not path.is_file():
            path = user_path(name)
        return path.read_text(encoding="utf-8"), str(path)
    except (OSError, UnicodeDecodeError) as error:
        known = ", ".join(sorted(each.stem for each in plans.glob("*.toml")))
        raise WorkloadError(
            f"--plan {name}: no such plan ({type(error).__name__})", f"give one of {known}, or a TOML file's path"
        ) from error


def fields_of(text: str, source: str) -> Fields:
    """The top table of a plan's text."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise WorkloadError(f"{source}: not TOML ({error})", "correct that line") from error
    except ValueError as error:  # Python reads 4300 digits (sys.set_int_max_str_digits)
        raise WorkloadError(f"{source}: a number has thousands of digits", "correct that number") from error
    except RecursionError as error:
        raise WorkloadError(f"{source}: is nested too deeply", "correct it") from error
    return Fields(document, source, "")


class Fields:
    """A table of the file; remembers which fields were asked for, so that others can be refused."""

    def __init__(self, values: Mapping[str, Any], source: str, path: str) -> None:
        self._values = values
        self.source = source
        self.path = path
        self.asked: set[str] = set()
        self.children: list[Fields] = []

    def refuse(self, name: str, value: object, allowed: str) -> NoReturn:
        """Raise WorkloadError: this field is `value`, and should be something else."""
        try:
            shown = repr(value)
        except ValueError:  # a number of thousands of digits, written as 0x…
            shown = "a number of thousands of digits"
        shown = shown if len(shown) <= 60 else f"{shown[:57]}..."
        raise WorkloadError(f"{self.source}: {self.path}{name} is {shown}", f"it should be {allowed}")

    def has(self, name: str) -> bool:
        """Whether the field is there: for one that may be left out."""
        return name in self._values

    def get(self, name: str, allowed: str) -> Any:
        """The value as it is; `allowed` is what a message says when it is missing."""
        self.asked.add(name)
        if name not in self._values:
            raise WorkloadError(f"{self.source}: {self.path}{name} is missing", f"give {allowed}")
        return self._values[name]

    def refuse_unknown(self) -> None:
        """Refuse every field of this table, and of those below it, that nothing has asked for."""
        for child in self.children:
            child.refuse_unknown()
        for name in self._values:
            if name not in self.asked:
                raise WorkloadError(
                    f"{self.source}: {self.path}{name} is not a field of a plan",
                    f"remove it; allowed are {', '.join(sorted(self.asked))}",
                )

    def text(self, name: str) -> str:
        """A name."""
        allowed = f"a name of up to {NAME_CHARACTERS} characters on one line"
        value = self.get(name, allowed)
        if not isinstance(value, str) or not value.strip() or not value.isprintable() or len(value) > NAME_CHARACTERS:
            self.refuse(name, value, allowed)
        return str(value)

    def word(self, name: str, allowed: Collection[str]) -> str:
        """One of some words."""
        choice = " or ".join(allowed)
        value = self.get(name, choice)
        if not isinstance(value, str) or value not in allowed:
            self.refuse(name, value, choice)
        return str(value)

    def words(self, name: str, allowed: Collection[str]) -> list[str]:
        """A list of some words, each once, not empty."""
        choice = f"a list of {' or '.join(allowed)}, each once"
        value = self.get(name, choice)
        if not isinstance(value, list) or not value:
            self.refuse(name, value, choice)
        if any(not isinstance(item, str) or item not in allowed for item in value):
            self.refuse(name, value, choice)
        if len(set(value)) != len(value):
            self.refuse(name, value, choice)
        return [str(item) for item in value]

    def integer(self, name: str, least: int, most: int) -> int:
        """A whole number within bounds, both included."""
        allowed = f"a whole number from {least} to {most}"
        value = self.get(name, allowed)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            self.refuse(name, value, allowed)
        return int(value)

    def multiple(self, name: str, of: int, least: int, most: int) -> int:
        """A multiple of `of` within bounds."""
        value = self.integer(name, least, most)
        if value % of:
            self.refuse(name, value, f"a multiple of {of}")
        return value

    def integers(self, name: str, least: int, most: int) -> list[int]:
        """A list of whole numbers within bounds, each once; it may be empty."""
        allowed = f"a list of whole numbers from {least} to {most}, each once"
        value = self.get(name, allowed)
        if (
            not isinstance(value, list)
            or any(isinstance(item, bool) or not isinstance(item, int) for item in value)
            or any(not least <= item <= most for item in value)
            or len(set(value)) != len(value)
        ):
            self.refuse(name, value, allowed)
        return list(value)

    def numbers(self, name: str, least: float, most: float) -> list[float]:
        """A list of numbers within bounds, each once; it may be empty."""
        allowed = f"a list of numbers from {least:g} to {most:g}, each once"
        value = self.get(name, allowed)
        if (
            not isinstance(value, list)
            or any(isinstance(item, bool) or not isinstance(item, (int, float)) for item in value)
            or not all(least <= item <= most for item in value)
            or len(set(value)) != len(value)
        ):
            self.refuse(name, value, allowed)
        return [float(item) for item in value]

    def number(self, name: str, least: float, most: float) -> float:
        """A number within bounds, both included."""
        allowed = f"a number from {least:g} to {most:g}"
        value = self.get(name, allowed)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not least <= value <= most:
            self.refuse(name, value, allowed)
        return float(value)

    def seconds(self, name: str, least: float = 0.5) -> float:
        """A length of time, up to a day."""
        allowed = f"seconds, from {least:g} to 86400"
        value = self.get(name, allowed)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not least <= value <= 86400:
            self.refuse(name, value, allowed)
        return float(value)

    def _table_of(self, value: object, path: str) -> Fields:
        if not isinstance(value, dict):
            self.refuse(path, value, "a table")
        child = Fields(value if isinstance(value, dict) else {}, self.source, f"{self.path}{path}.")
        self.children.append(child)
        return child

    def table(self, name: str) -> Fields:
        """A table below this one."""
        return self._table_of(self.get(name, f"a table [{name}]"), name)

    def tables(self, name: str, *, empty: bool = False) -> list[Fields]:
        """A list of tables; with `empty` it may have none, or be missing."""
        allowed = f"a list of tables [[{name}]]"
        self.asked.add(name)
        value = self._values.get(name, []) if empty else self.get(name, allowed)
        if not isinstance(value, list) or (not value and not empty):
            self.refuse(name, value, allowed)
        return [self._table_of(item, f"{name}[{index}]") for index, item in enumerate(value)]
