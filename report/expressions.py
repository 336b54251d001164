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
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
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
    """A node of the syntax tree. It has operands, and `compute` makes its value of theirs; or it is a path."""

    kind: str  # one of _KINDS
    _node: ast.expr
    _operands: Sequence[Expression] = ()
    _compute: Callable[..., Value] = lambda: None
    _path: str = ""

    @classmethod
    def parse(cls, text: str, summary_type: type, constants: Mapping[str, float | None] | None = None) -> Expression:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", SyntaxWarning)  # "1in 2"; what is wrong with it is an error below
                tree = ast.parse(text.strip(), mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError):  # the last two: nested too deeply
            raise ExpressionError(f"{_short(text)!r} is not an expression") from None
        if sum(1 for _ in ast.walk(tree)) > _NODES_MAX:
            raise ExpressionError(f"{_short(text)!r} is too long")
        return _expression(tree, summary_type, constants or {})

    def evaluate(self, summary: object) -> Value:
        if self._path:
            return _look_up(self._path, summary)
        return _finite(self._compute(*(operand.evaluate(summary) for operand in self._operands)))

    def parts(self, summary: object) -> list[Part]:
        node = self._node
        found = []
        for part in self._operands if isinstance(node, ast.BoolOp) and isinstance(node.op, ast.And) else [self]:
            value = part.evaluate(summary)
            figures = {path: _look_up(path, summary) for path in part._paths()}
            found.append(Part(ast.unparse(part._node), value if isinstance(value, bool) else None, figures))
        return found

    def unknown(self, summary: object) -> list[str]:
        """Returns the paths that have no value in this summary."""
        return [path for path in self._paths() if _look_up(path, summary) is None]

    def _paths(self) -> list[str]:
        if self._path:
            return [self._path]
        return list(dict.fromkeys(path for operand in self._operands for path in operand._paths()))


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


def _expression(node: ast.expr, summary_type: type, constants: Mapping[str, float | None]) -> Expression:
    def operand(child: ast.expr, kind: str | None = None) -> Expression:
        found = _expression(child, summary_type, constants)
        if kind not in (None, found.kind):
            raise ExpressionError(f"{_short(ast.unparse(child))} is a {found.kind}, not a {kind}")
        return found

    match node:
        case ast.BoolOp(op=op, values=values):
            conditions = [operand(value, "boolean") for value in values]
            return Expression("boolean", node, conditions, partial(_joined, isinstance(op, ast.Or)))
        case ast.UnaryOp(op=ast.Not(), operand=child):
            return Expression("boolean", node, [operand(child, "boolean")], _of_known(operator.not_))
        case ast.UnaryOp(op=ast.USub(), operand=child):
            return Expression("number", node, [operand(child, "number")], _of_known(operator.neg))
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _ARITHMETIC:
            sides = [operand(left, "number"), operand(right, "number")]
            return Expression("number", node, sides, _of_known(_ARITHMETIC[type(op)]))
        case ast.Compare(left=left, ops=ops, comparators=comparators) if all(type(op) in _COMPARISONS for op in ops):
            if any(isinstance(op, _ORDERED) for op in ops):
                others = [operand(child, "number") for child in comparators]
                first = operand(left, "number")
            else:
                first = operand(left)
                others = [operand(child, first.kind) for child in comparators]
            comparisons = [_of_known(_COMPARISONS[type(op)]) for op in ops]
            return Expression("boolean", node, [first, *others], partial(_compared, comparisons))
        case ast.Constant(value=bool() | int() | float() | str() as value):
            return Expression(_KINDS[type(value)], node, (), lambda: value)
        case ast.Name(id=name) if name in constants:
            if constants[name] is None:
                raise ExpressionError(f"{name} is used, but the claim gives none")
            return Expression("number", node, (), lambda: constants[name])
        case ast.Name() | ast.Attribute():
            path = _path(node)
            return Expression(_field_kind(path, summary_type), node, _path=path)
    raise ExpressionError(f"{_short(ast.unparse(node))!r}: only paths, numbers, comparisons, and/or/not are allowed")


def _joined(decides: bool, *outcomes: Value) -> bool | None:
    """Joins conditions by "or", where a true one decides, or by "and", where a false one does."""
    if decides in outcomes:
        return decides
    return None if None in outcomes else not decides


def _compared(comparisons: Sequence[Callable[[Value, Value], Value]], *values: Value) -> bool | None:
    pairs = zip(comparisons, values, values[1:], strict=False)
    return _joined(False, *(compare(left, right) for compare, left, right in pairs))


def _of_known(function: Callable[..., Value]) -> Callable[..., Value]:
    """Returns the function for values of which some may not be known: then its result is not known either."""

    def compute(*values: Value) -> Value:
        try:
            return None if None in values else function(*values)
        except (ZeroDivisionError, OverflowError):  # the latter: a whole number that no float holds
            return None

    return compute


def _path(node: ast.expr) -> str:
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=value, attr=name):
            return f"{_path(value)}.{name}"
    raise ExpressionError(f"{_short(ast.unparse(node))!r} is not a path into the summary")


def _look_up(path: str, summary: object) -> Value:
    value: Any = summary
    for name in path.split("."):
        if value is None:
            return None
        value = getattr(value, name)
    return _finite(value)


def _finite(value: Any) -> Value:
    """Returns the value; None for infinity and NaN, which tell nothing."""
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
