"""The small language in which claims test a summary: paths, numbers, arithmetic, comparisons, and/or/not.

    drill.read_errors == 0 and drill.checksum_matched
    published * (1 - tolerance) <= volume.sequential_mb_per_s

Python's parser reads the text, and only the nodes named here are evaluated: nothing is called, and only fields of the
summary are looked up. Each path is checked against the summary's dataclasses when the claim is loaded: a field that
does not exist is an error then. A field that is None is not known, and what depends on it is not known; but
"False and unknown" is False.
"""

from __future__ import annotations

import ast
import dataclasses
import functools
import math
import operator
import re
import typing
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from report.format import figure
from report.records import without_none

Value = bool | float | str | None

_ARITHMETIC: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
_COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_KINDS: dict[Any, str] = {bool: "boolean", int: "number", float: "number", str: "text"}
_SHOWN_CHARACTERS = 100  # of a text in an error, which is one line
_NODES_MAX = 500  # the longest of a claim has 97; what is nested deeper than Python's stack has more
_ORDERED = (ast.Lt, ast.LtE, ast.Gt, ast.GtE)


class ExpressionError(ValueError):
    """An expression can't be tested on any summary; the text is one line."""


@dataclass(frozen=True)
class Part:
    """One of the conditions that `and` joins at the top level, with its outcome."""

    text: str
    value: bool | None
    figures: Mapping[str, Value]


@dataclass(frozen=True)
class Expression:
    text: str
    kind: str  # one of _KINDS
    _tree: ast.expr
    _constants: Mapping[str, float | None]

    @classmethod
    def parse(cls, text: str, summary_type: type, constants: Mapping[str, float | None] | None = None) -> Expression:
        constants = constants or {}
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", SyntaxWarning)  # "1in 2"; what is wrong with it is an error below
                tree = ast.parse(text.strip(), mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError):  # the last two: nested too deeply
            raise ExpressionError(f"{_short(text)!r} is not an expression") from None
        if sum(1 for _ in ast.walk(tree)) > _NODES_MAX:
            raise ExpressionError(f"{_short(text)!r} is too long")
        return cls(text.strip(), _kind(tree, summary_type, constants), tree, constants)

    def evaluate(self, summary: object) -> Value:
        return _evaluate(self._tree, summary, self._constants)

    def parts(self, summary: object) -> list[Part]:
        tree = self._tree
        nodes = tree.values if isinstance(tree, ast.BoolOp) and isinstance(tree.op, ast.And) else [tree]
        found = []
        for node in nodes:
            value = _evaluate(node, summary, self._constants)
            figures = {path: _look_up(path, summary) for path in _paths(node, self._constants)}
            found.append(Part(ast.unparse(node), value if isinstance(value, bool) else None, figures))
        return found

    def unknown(self, summary: object) -> list[str]:
        """The paths that have no value in this summary."""
        return [path for path in _paths(self._tree, self._constants) if _look_up(path, summary) is None]


# {path}, or {path?text if it is true|text if it is false}
_PLACE = re.compile(r"\{([\w.]+)(?:\?([^{}|]*)\|([^{}|]*))?\}")


@dataclass(frozen=True)
class Sentence:
    """A sentence with figures of a summary in it: "{drill.read_errors} reads failed, and the data read back
    {drill.checksum_matched?are those written|differ}".
    """

    text: str

    @classmethod
    def parse(cls, text: str, summary_type: type) -> Sentence:
        for place in _PLACE.finditer(text):
            kind = _field_kind(place[1], summary_type)
            if place[2] is not None and kind != "boolean":
                raise ExpressionError(f"{place[0]}: {place[1]} is a {kind}, neither true nor false")
        if re.search("[{}]", _PLACE.sub("", text)):
            raise ExpressionError(f"{_short(text)!r}: a brace that does not belong to a {{path}} or {{path?yes|no}}")
        return cls(text)

    def fill(self, summary: object) -> str:
        def filled(place: re.Match[str]) -> str:
            value = _look_up(place[1], summary)
            if place[2] is None:
                return figure(value)
            return f"it is not known whether {place[2]}" if value is None else place[2] if value else place[3]

        return _PLACE.sub(filled, self.text)


def _kind(node: ast.expr, summary_type: type, constants: Mapping[str, float | None]) -> str:
    def of(child: ast.expr) -> str:
        return _kind(child, summary_type, constants)

    def must(child: ast.expr, kind: str) -> None:
        if (found := of(child)) != kind:
            raise ExpressionError(f"{_short(ast.unparse(child))} is a {found}, not a {kind}")

    match node:
        case ast.BoolOp(values=values):
            for value in values:
                must(value, "boolean")
            return "boolean"
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            must(operand, "boolean")
            return "boolean"
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            must(operand, "number")
            return "number"
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _ARITHMETIC:
            must(left, "number")
            must(right, "number")
            return "number"
        case ast.Compare(left=left, ops=ops, comparators=comparators) if all(type(op) in _COMPARISONS for op in ops):
            kind = "number" if any(isinstance(op, _ORDERED) for op in ops) else of(left)
            for child in (*comparators, left):
                must(child, kind)
            return "boolean"
        case ast.Constant(value=bool() | int() | float() | str() as value):
            return _KINDS[type(value)]
        case ast.Name(id=name) if name in constants:
            if constants[name] is None:
                raise ExpressionError(f"{name} is used, but the claim gives none")
            return "number"
        case ast.Name() | ast.Attribute():
            return _field_kind(_path(node), summary_type)
    raise ExpressionError(f"{_short(ast.unparse(node))!r}: only paths, numbers, comparisons, and/or/not are allowed")


def _evaluate(node: ast.expr, summary: object, constants: Mapping[str, float | None]) -> Value:
    def of(child: ast.expr) -> Any:
        return _evaluate(child, summary, constants)

    match node:
        case ast.BoolOp(op=op, values=values):
            decides = isinstance(op, ast.Or)
            outcomes = [of(value) for value in values]
            if decides in outcomes:
                return decides
            return None if None in outcomes else not decides
        case ast.UnaryOp(op=op, operand=operand):
            value = of(operand)
            return None if value is None else not value if isinstance(op, ast.Not) else -value
        case ast.BinOp(left=left, op=op, right=right):
            a, b = of(left), of(right)
            if a is None or b is None or (isinstance(op, ast.Div) and b == 0):
                return None
            try:
                return _finite(_ARITHMETIC[type(op)](a, b))
            except OverflowError:  # a whole number that no float holds
                return None
        case ast.Compare(left=left, ops=ops, comparators=comparators):
            values = [of(left), *(of(child) for child in comparators)]
            outcomes = [
                None if a is None or b is None else _COMPARISONS[type(op)](a, b)
                for op, a, b in zip(ops, values, values[1:], strict=False)
            ]
            if False in outcomes:
                return False
            return None if None in outcomes else True
        case ast.Constant(value=bool() | int() | float() | str() as value):
            return _finite(value)
        case ast.Name(id=name) if name in constants:
            return constants[name]
    return _look_up(_path(node), summary)


def _path(node: ast.expr) -> str:
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=value, attr=name):
            return f"{_path(value)}.{name}"
    raise ExpressionError(f"{_short(ast.unparse(node))!r} is not a path into the summary")


def _paths(node: ast.expr, constants: Mapping[str, float | None]) -> list[str]:
    if isinstance(node, ast.Attribute) or (isinstance(node, ast.Name) and node.id not in constants):
        return [_path(node)]
    found: list[str] = []
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.expr):
            found += [path for path in _paths(child, constants) if path not in found]
    return found


def _look_up(path: str, summary: object) -> Value:
    value: Any = summary
    for name in path.split("."):
        if value is None:
            return None
        value = getattr(value, name)
    return _finite(value)


def _finite(value: Any) -> Value:
    """The value; None for infinity and what is no number, which tell nothing."""
    result: Value = value
    return None if isinstance(value, float) and not math.isfinite(value) else result


@functools.cache
def _fields(kind: Any) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _field_kind(path: str, summary_type: type) -> str:
    kind: Any = summary_type
    seen = "the summary"
    for name in path.split("."):
        if not (isinstance(kind, type) and dataclasses.is_dataclass(kind)):
            raise ExpressionError(f"{path}: {seen} is a figure, it has no fields")
        fields = _fields(kind)
        if name not in fields:
            raise ExpressionError(f"{_short(path)}: {seen} has no field {_short(name)!r}; it has {', '.join(fields)}")
        kind, seen = without_none(fields[name]), name
    if kind not in _KINDS:
        raise ExpressionError(f"{path} is not a single figure")
    return _KINDS[kind]


def _short(text: str) -> str:
    text = text.strip()
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}..."
