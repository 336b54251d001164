"""The ledger, claims/<experiment>.yaml: what was published, and how a summary tests it.

A claim in the file:

    - id: <experiment>/<name>
      claim: in our own words
      published: {value: 100, unit: MB/s, date: "…", source: …}   # value: null: none was published
                           # optional besides: points: [{of: …, x: 20, y: 1500}], drawn into the figure
      applies: {where: aws | rehearsal | either, reason: why a run elsewhere does not count}
      measured: volume.sequential_mb_per_s      # the figure shown beside the published one
      when: drill.hosts_killed == 2             # optional: in any other run the claim is not judged
      needs: "two killed servers; killed: {drill.hosts_killed}"   # optional: why not, in a sentence
      test: published * (1 - tolerance) <= volume.sequential_mb_per_s
      finding: "{drill.read_errors} reads failed"                 # optional: what the run found, in a sentence
      tolerance: {ratio: 0.2, reason: …}        # or null
      later:                                    # optional: what the provider has documented since
        - {fact: …, date: "…", source: …, test: …}   # test is optional: a run that it holds for differs as documented

`test`, `measured` and `when` are in the language of report/expressions.py, with `published` and `tolerance` as names;
`needs` and `finding` are sentences with figures of the summary in them (`Sentence` there).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from report.expressions import Expression, ExpressionError, Sentence

SCHEMA = 1
# libyaml's, where PyYAML was built with it: a tenth of the time.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
CLAIMS = Path(__file__).resolve().parent.parent / "claims"
PLACES = ("aws", "rehearsal", "either")


class ClaimError(Exception):
    """A claims file that can't be used: file, claim, field and what is allowed, in one line."""


@dataclass(frozen=True)
class Point:
    """A published point of a figure: whose line it belongs to, and where it lies."""

    of: str
    x: float
    y: float


@dataclass(frozen=True)
class Published:
    value: float | None
    unit: str
    date: str
    source: str
    points: tuple[Point, ...] = ()


@dataclass(frozen=True)
class Later:
    """What has been documented since; `test` None: nothing that a run could be tested with."""

    fact: str
    date: str
    source: str
    test: Expression | None


@dataclass(frozen=True)
class Claim:
    id: str
    claim: str
    published: Published
    where: str
    elsewhere_reason: str
    measured: Expression | None
    when: Expression | None
    test: Expression
    tolerance_ratio: float | None
    tolerance_reason: str | None
    later: tuple[Later, ...] = ()
    finding: Sentence | None = None
    needs: Sentence | None = None


def load_claims(experiment: str, summary_type: type, folder: Path = CLAIMS) -> list[Claim]:
    path = folder / f"{experiment}.yaml"
    try:
        document = yaml.load(path.read_text(encoding="utf-8"), Loader=_LOADER)
    except FileNotFoundError:
        raise ClaimError(f"{path}: no such file; each experiment has one") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ClaimError(f"{path}: can't be read: {error}") from None
    except yaml.YAMLError as error:
        raise ClaimError(f"{path}: not YAML: {' '.join(str(error).split())}") from None
    try:
        top = _Fields(document, "the file", {"schema", "experiment", "claims"})
        if top.get("schema") != SCHEMA:
            raise ClaimError(f"schema is {top.get('schema')!r}, this report reads {SCHEMA}")
        if top.text("experiment") != experiment:
            raise ClaimError(f"experiment is {top.get('experiment')!r}, the file's name says {experiment!r}")
        entries = top.get("claims")
        if not isinstance(entries, list) or not entries:
            raise ClaimError("claims must be a list of at least one")
        claims = [_claim(entry, number, experiment, summary_type) for number, entry in enumerate(entries)]
        twice = {claim.id for claim in claims if sum(claim.id == other.id for other in claims) > 1}
        if twice:
            raise ClaimError(f"{sorted(twice)[0]} is there twice")
    except ClaimError as error:
        raise ClaimError(f"{path}: {error}") from None
    return claims


class _Fields:
    """A mapping of the file; each fault names the claim and the field."""

    def __init__(self, document: Any, where: str, known: set[str]) -> None:
        if not isinstance(document, dict):
            raise ClaimError(f"{where} must be a mapping")
        unknown = sorted(str(key) for key in document.keys() - known)
        if unknown:
            raise ClaimError(f"{where}: unknown field {unknown[0]!r}; allowed: {', '.join(sorted(known))}")
        self.document: dict[str, Any] = document
        self.where = where

    def get(self, key: str) -> Any:
        return self.document.get(key)

    def text(self, key: str) -> str:
        value = self.document.get(key)
        if not isinstance(value, str) or not value.strip():
            raise ClaimError(f"{self.where}: {key} must be text, not {value!r}")
        return " ".join(value.split())

    def number_or_none(self, key: str) -> float | None:
        value = self.document.get(key)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise ClaimError(f"{self.where}: {key} must be a number or null, not {value!r}")
        return value


def _claim(entry: Any, number: int, experiment: str, summary_type: type) -> Claim:
    known = {
        "id",
        "claim",
        "published",
        "applies",
        "measured",
        "when",
        "test",
        "tolerance",
        "later",
        "finding",
        "needs",
    }
    fields = _Fields(entry, f"claims[{number}]", known)
    fields.where = identity = fields.text("id")
    if not identity.startswith(f"{experiment}/"):
        raise ClaimError(f"{identity}: id must begin with {experiment}/")
    known = {"value", "unit", "date", "source", "points"}
    published = _Fields(fields.get("published"), f"{identity}: published", known)
    applies = _Fields(fields.get("applies"), f"{identity}: applies", {"where", "reason"})
    where = applies.text("where")
    if where not in PLACES:
        raise ClaimError(f"{identity}: applies.where is {where!r}, allowed: {', '.join(PLACES)}")
    ratio = reason = None
    if fields.get("tolerance") is not None:
        tolerance = _Fields(fields.get("tolerance"), f"{identity}: tolerance", {"ratio", "reason"})
        ratio, reason = tolerance.number_or_none("ratio"), tolerance.text("reason")
        if ratio is None or ratio < 0:
            raise ClaimError(f"{identity}: tolerance.ratio must be 0 or more, not {ratio!r}")
    value = published.number_or_none("value")
    names = {"published": value, "tolerance": ratio}
    test = _expression(fields, "test", summary_type, names)
    when = _expression(fields, "when", summary_type, names) if fields.get("when") else None
    later = _later(fields, identity, summary_type, names)
    facts = [("later: test", each.test) for each in later]
    for key, condition in (("test", test), ("when", when), *facts):
        if condition is not None and condition.kind != "boolean":
            raise ClaimError(f"{identity}: {key}: {condition.text} is a {condition.kind}, it can't hold or differ")
    return Claim(
        id=identity,
        claim=fields.text("claim"),
        published=Published(
            value, published.text("unit"), published.text("date"), published.text("source"), _points(published)
        ),
        where=where,
        elsewhere_reason=applies.text("reason") if where != "either" else "",
        measured=_expression(fields, "measured", summary_type, names) if fields.get("measured") else None,
        when=when,
        test=test,
        tolerance_ratio=ratio,
        tolerance_reason=reason,
        later=later,
        finding=_sentence(fields, "finding", summary_type),
        needs=_sentence(fields, "needs", summary_type),
    )


def _later(claim: _Fields, identity: str, summary_type: type, names: Mapping[str, float | None]) -> tuple[Later, ...]:
    entries = claim.get("later") or []
    if not isinstance(entries, list):
        raise ClaimError(f"{identity}: later must be a list, not {entries!r}")
    found = []
    for number, entry in enumerate(entries):
        fields = _Fields(entry, f"{identity}: later[{number}]", {"fact", "date", "source", "test"})
        test = _expression(fields, "test", summary_type, names) if fields.get("test") else None
        found.append(Later(fields.text("fact"), fields.text("date"), fields.text("source"), test))
    return tuple(found)


def _points(published: _Fields) -> tuple[Point, ...]:
    entries = published.get("points") or []
    if not isinstance(entries, list):
        raise ClaimError(f"{published.where}: points must be a list, not {entries!r}")
    points = []
    for number, entry in enumerate(entries):
        fields = _Fields(entry, f"{published.where}: points[{number}]", {"of", "x", "y"})
        x, y = fields.number_or_none("x"), fields.number_or_none("y")
        if x is None or y is None:
            raise ClaimError(f"{fields.where}: x and y must be numbers")
        points.append(Point(fields.text("of"), x, y))
    return tuple(points)


def _expression(fields: _Fields, key: str, summary_type: type, names: Mapping[str, float | None]) -> Expression:
    try:
        return Expression.parse(fields.text(key), summary_type, names)
    except ExpressionError as error:
        raise ClaimError(f"{fields.where}: {key}: {error}") from None


def _sentence(fields: _Fields, key: str, summary_type: type) -> Sentence | None:
    try:
        return Sentence.parse(fields.text(key), summary_type) if fields.get(key) is not None else None
    except ExpressionError as error:
        raise ClaimError(f"{fields.where}: {key}: {error}") from None
