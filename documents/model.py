"""What a document's model is made of: frozen dataclasses derived from Model, and rules for their fields.

A field's annotation is its type and a rule, which has the words of an error as well:

    port: Annotated[int, Number(1, 65535)]      # "hosts[0].port is 0; expected a whole number from 1 to 65535"

pydantic validates, and makes the JSON Schemas. It is imported when the first document is read: that takes 0.3 s, and
`fab --list` and a Pulumi program import the models without reading any.
"""

from __future__ import annotations

import re
import types
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Union, get_args, get_origin

FieldPath = tuple[str | int, ...]


@dataclass(frozen=True)
class Fault:
    """A rule over several fields is broken. `path` leads from the model to the field at fault, in the document's names.
    `same_as` leads to the field that has the same value, where each must be different. Without a path `expected`
    completes what the field's rule says.
    """

    path: FieldPath
    value: Any
    expected: str = ""
    same_as: FieldPath = ()


def repeats(places: Iterable[tuple[FieldPath, Any]]) -> Iterator[Fault]:
    """Yields a fault for each place whose value an earlier place has."""
    first: dict[Any, FieldPath] = {}
    for path, value in places:
        if value in first:
            yield Fault(path, value, same_as=first[value])
        first.setdefault(value, path)


class Because(ValueError):
    """Raised by the check of a Text; its words complete what an error says of the text that is expected."""


class Model:
    """The base of a document's dataclasses, outer and inner ones."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"strict": True, "extra": "forbid"}

    def faults(self) -> Iterable[Fault]:
        """Checks what concerns several fields. It runs when each field alone is right."""
        return ()

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        schema = handler(source)
        # Of pydantic's own, strict: only an instance would do, and no mapping.
        handler.resolve_ref_schema(schema)["strict"] = False
        return _then(lambda value: value.faults(), schema)


def renamed(**names: str) -> dict[str, Any]:
    """Returns the `__pydantic_config__` of a model with other names for fields than the document: attribute="name"."""
    return {**Model.__pydantic_config__, "alias_generator": lambda name: names.get(name, name)}


class Rule:
    """What a field may be. `words` completes "… is 3; expected …" for a field of that type."""

    def words(self, kind: Any) -> str:
        raise NotImplementedError

    def faults(self, value: Any) -> Iterable[Fault]:
        return ()

    def __get_pydantic_core_schema__(self, source: Any, handler: Callable[[Any], Any]) -> Any:
        return _then(lambda value: () if value is None else self.faults(value), handler(source))

    def __get_pydantic_json_schema__(self, core: Any, handler: Callable[[Any], Any]) -> dict[str, Any]:
        return {**handler(core), **self.json_schema()}

    def json_schema(self) -> dict[str, Any]:
        return {}


@dataclass(frozen=True)
class Text(Rule):
    """A line of printable text that is not blank, all of it of `pattern` (what Python and ECMA 262 have in common).
    `check` raises ValueError for a wrong text, or returns something false. With `folded` lines are joined to one.
    """

    expected: str
    pattern: str = ".*"
    check: Callable[[str], object] = bool
    most_characters: int | None = None
    folded: bool = False

    def words(self, kind: Any) -> str:
        return self.expected

    def faults(self, value: str) -> Iterable[Fault]:
        one_line = value.strip() and value.isprintable() and len(value) <= (self.most_characters or len(value))
        more = ""
        try:
            if one_line and re.fullmatch(self.pattern, value) and self.check(value):
                return
        except Because as reason:
            more = str(reason)
        except ValueError:
            pass
        yield Fault((), value, more)

    def __get_pydantic_core_schema__(self, source: Any, handler: Callable[[Any], Any]) -> Any:
        from pydantic_core import core_schema

        schema = handler(source)
        if self.folded:
            fold = core_schema.no_info_after_validator_function
            schema = fold(lambda text: text if text is None else " ".join(text.split()), schema)
        return super().__get_pydantic_core_schema__(source, lambda _: schema)

    def json_schema(self) -> dict[str, Any]:
        longest = {"maxLength": self.most_characters} if self.most_characters else {}
        return {"pattern": rf"^(?=.*\S)(?:{self.pattern})$", **longest}


@dataclass(frozen=True)
class Number(Rule):
    """A whole number (of an int field) or a finite number (of a float field) from `least` to `most`, both
    included; with `above` greater than `least`.
    """

    least: float | None = None
    most: float | None = None
    unit: str = ""
    multiple_of: int = 1
    above: bool = False

    def words(self, kind: Any) -> str:
        if self.least is not None and self.least == self.most:
            return str(self.least)
        whole, of = "whole " if kind is int else "", f" of {self.unit}" if self.unit else ""
        low = "" if self.least is None else f" {'above' if self.above else 'from'} {self.least}"
        high = "" if self.most is None else f" {'and up to' if self.above else 'to'} {self.most}"
        multiple = f", a multiple of {self.multiple_of}" if self.multiple_of > 1 else ""
        return f"a {whole}number{of}{low}{high}{multiple}"

    def __get_pydantic_core_schema__(self, source: Any, handler: Callable[[Any], Any]) -> Any:
        from pydantic_core import core_schema

        bounds: dict[str, Any] = {"gt" if self.above else "ge": self.least, "le": self.most}
        kind, nullable, _ = kind_of(source)
        if kind is int:
            multiple = self.multiple_of if self.multiple_of > 1 else None
            schema: Any = core_schema.int_schema(strict=True, multiple_of=multiple, **bounds)
        else:
            schema = core_schema.float_schema(strict=True, allow_inf_nan=False, **bounds)
        return core_schema.nullable_schema(schema) if nullable else schema


@dataclass(frozen=True)
class Items(Rule):
    """A list, of a tuple field. `unique` names fields in which its items must differ; True: the items must. With
    `null` it may be null, and is empty then.
    """

    expected: str
    least: int = 0
    unique: Collection[str] | bool = ()
    null: bool = False

    def words(self, kind: Any) -> str:
        return self.expected

    def faults(self, value: tuple[Any, ...]) -> Iterable[Fault]:
        if len(value) < self.least:  # pydantic's own min_length counts the items that are right
            yield Fault((), list(value))
        if self.unique is True:
            yield from repeats(((index,), item) for index, item in enumerate(value))
        for name in self.unique or () if not isinstance(self.unique, bool) else ():
            yield from repeats(((index, name), getattr(item, name)) for index, item in enumerate(value))

    def __get_pydantic_core_schema__(self, source: Any, handler: Callable[[Any], Any]) -> Any:
        from pydantic_core import core_schema

        schema = {**handler(source), "strict": False}
        whole = _then(self.faults, schema)
        if self.null:
            whole = core_schema.no_info_after_validator_function(
                lambda value: () if value is None else value, core_schema.nullable_schema(whole)
            )
        return whole

    def json_schema(self) -> dict[str, Any]:
        unique = {"uniqueItems": True} if self.unique is True else {}
        return {"minItems": self.least, **unique} if self.least else unique


def _then(check: Callable[[Any], Iterable[Fault]], schema: Any) -> Any:
    """Adds a check to the schema; its faults become errors of pydantic, each with its own location."""
    from pydantic_core import PydanticCustomError, ValidationError, core_schema

    def checked(value: Any) -> Any:
        found = [
            {"type": PydanticCustomError("fault", "{fault}", {"fault": each}), "loc": each.path, "input": each.value}
            for each in check(value)
        ]
        if found:
            raise ValidationError.from_exception_data("document", found)  # type: ignore[arg-type]
        return value

    return core_schema.no_info_after_validator_function(checked, schema)


def kind_of(hint: Any) -> tuple[Any, bool, Rule | None]:
    """Splits a field's annotation into its type without None, whether it may be None, and its rule."""
    if get_origin(hint) is Annotated:
        kind, nullable, inner = kind_of(get_args(hint)[0])
        return kind, nullable, next((each for each in get_args(hint)[1:] if isinstance(each, Rule)), inner)
    if get_origin(hint) in (Union, types.UnionType):
        kind, _, rule = kind_of(next(each for each in get_args(hint) if each is not types.NoneType))
        return kind, types.NoneType in get_args(hint), rule
    return hint, False, None
