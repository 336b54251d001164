"""The ledger, claims/<experiment>.yaml: what was published, and how a summary tests it.

A claim in the file:

    - id: <experiment>/<name>
      claim: in our own words
      published: {value: 100, unit: MB/s, date: "…", source: …}   # value: null: none was published
                           # optional besides: points: [{of: …, x: 20, y: 1500}], drawn into the figure
      applies: {where: aws | rehearsal | either, reason: why a run elsewhere does not count, in a sentence}
      measured: volume.sequential_mb_per_s      # the figure shown beside the published one
      when: drill.hosts_killed == 2             # optional: in any other run the claim is not judged
      needs: "two killed servers; killed: {drill.hosts_killed}"   # optional: why not, in a sentence
      test: published * (1 - tolerance) <= volume.sequential_mb_per_s
      finding: "{drill.read_errors} reads failed"                 # optional: what the run found, in a sentence
      tolerance: {ratio: 0.2, reason: …}        # or null
      later:                                    # optional: what the provider has documented since
        - {fact: …, date: "…", source: …, test: …}   # test is optional: a run that it holds for differs as documented

`test`, `measured` and `when` are in the language of report/expressions.py, with `published` and `tolerance` as names;
`reason`, `needs` and `finding` are sentences with figures of the summary in them (`Sentence` there).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from documents import DocumentError, Fault, Items, Model, Number, Text, read
from report.expressions import Expression, ExpressionError, Sentence

SCHEMA = 1
CLAIMS = Path(__file__).resolve().parent.parent / "claims"

Prose = Annotated[str, Text("text", folded=True)]
Formula = Annotated[str, Text("an expression over the summary", folded=True)]
"""In the language of report/expressions.py"""
Figure = Annotated[float, Number()]


class ClaimError(Exception):
    """A claims file that can't be used: file, claim, field and what is allowed, in a line for each fault."""


@dataclass(frozen=True)
class Point(Model):
    """A published point of a figure: whose line it belongs to, and where it lies."""

    of: Prose
    x: Figure
    y: Figure


@dataclass(frozen=True)
class Published(Model):
    """What was published."""

    value: Figure | None
    """The published figure; null: none was published"""
    unit: Prose
    date: Prose
    source: Prose
    points: Annotated[tuple[Point, ...], Items("a list of points")] = ()
    """Published points, which are drawn into the figure"""


@dataclass(frozen=True)
class Applies(Model):
    """Where a run counts."""

    where: Literal["aws", "rehearsal", "either"]
    reason: Prose | None = None
    """Why a run elsewhere does not count: a sentence with figures of the summary in braces"""

    def faults(self) -> Iterator[Fault]:
        """Checks that there is a reason where one is needed."""
        if self.where != "either" and self.reason is None:
            yield Fault(("reason",), None, f"text: why only a run of {self.where} counts")


@dataclass(frozen=True)
class Tolerance(Model):
    """How far a measured figure may be from the published one."""

    ratio: Annotated[float, Number(0)]
    """Of the published figure"""
    reason: Prose


@dataclass(frozen=True)
class LaterEntry(Model):
    """What the provider has documented since."""

    fact: Prose
    date: Prose
    source: Prose
    test: Formula | None = None
    """Where this is true, the run differs as documented"""


@dataclass(frozen=True)
class Entry(Model):
    """A claim, as it stands in the file."""

    id: Annotated[str, Text("the experiment's name, / and a name", r"[a-z0-9-]+/[a-z0-9-]+")]
    claim: Prose
    """The claim in our own words"""
    published: Published
    applies: Applies
    test: Formula
    """Whether the claim holds, in the language of report/expressions.py, with `published` and `tolerance` as names"""
    measured: Formula | None = None
    """The figure shown beside the published one"""
    when: Formula | None = None
    """Where this is false, the run has not tested the claim"""
    tolerance: Tolerance | None = None
    later: Annotated[tuple[LaterEntry, ...], Items("a list of facts")] = ()
    """What the provider has documented since"""
    needs: Prose | None = None
    """Why the claim is not judged where `when` is false: a sentence with figures of the summary in braces"""
    finding: Prose | None = None
    """What the run found: a sentence with figures of the summary in braces"""


@dataclass(frozen=True)
class Ledger(Model):
    """The ledger of an experiment: claims/<experiment>.yaml."""

    schema: Annotated[int, Number(SCHEMA, SCHEMA)]
    """The version of this format"""
    experiment: Prose
    """The experiment's name, which is the file's, too"""
    claims: Annotated[tuple[Entry, ...], Items("a list of at least one claim", least=1, unique=["id"])]

    def faults(self) -> Iterator[Fault]:
        """Checks that the claims are of the experiment."""
        for index, entry in enumerate(self.claims):
            if not entry.id.startswith(f"{self.experiment}/"):
                yield Fault(("claims", index, "id"), entry.id, f"an id that begins with {self.experiment}/")


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
    elsewhere_reason: Sentence | None
    measured: Expression | None
    when: Expression | None
    test: Expression
    tolerance_ratio: float | None
    tolerance_reason: str | None
    later: tuple[Later, ...] = ()
    finding: Sentence | None = None
    needs: Sentence | None = None


def load_claims(experiment: str, summary_type: type, folder: Path = CLAIMS) -> list[Claim]:
    """Reads the ledger of an experiment. Raises ClaimError with a line for each fault that can be found at once."""
    from report.claims_file import read_claims_file  # imports yaml, which the ledger needs when a claim has changed

    path = folder / f"{experiment}.yaml"
    document = read_claims_file(path)
    try:
        ledger = read(Ledger, document, str(path), "a mapping")
    except DocumentError as error:
        raise ClaimError("\n".join(_by_id(line, document) for line in error.lines)) from None
    if ledger.experiment != experiment:
        raise ClaimError(f"{path}: experiment is {ledger.experiment!r}, the file's name says {experiment!r}")
    try:
        return [_claim(entry, summary_type) for entry in ledger.claims]
    except ClaimError as error:
        raise ClaimError(f"{path}: {error}") from None


def _claim(entry: Entry, summary_type: type) -> Claim:
    ratio = entry.tolerance.ratio if entry.tolerance else None
    names = {"published": entry.published.value, "tolerance": ratio}

    def parse(field: str, text: str, *, condition: bool = True) -> Expression:
        try:
            parsed = Expression.parse(text, summary_type, names)
        except ExpressionError as error:
            raise ClaimError(f"{entry.id}: {field}: {error}") from None
        if condition and parsed.kind != "boolean":
            raise ClaimError(f"{entry.id}: {field}: {parsed.text} is a {parsed.kind}, it can't hold or differ")
        return parsed

    def sentence(field: str, text: str | None) -> Sentence | None:
        try:
            return Sentence.parse(text, summary_type) if text else None
        except ExpressionError as error:
            raise ClaimError(f"{entry.id}: {field}: {error}") from None

    return Claim(
        id=entry.id,
        claim=entry.claim,
        published=entry.published,
        where=entry.applies.where,
        elsewhere_reason=sentence("applies.reason", entry.applies.reason),
        measured=parse("measured", entry.measured, condition=False) if entry.measured else None,
        when=parse("when", entry.when) if entry.when else None,
        test=parse("test", entry.test),
        tolerance_ratio=ratio,
        tolerance_reason=entry.tolerance.reason if entry.tolerance else None,
        later=tuple(
            Later(each.fact, each.date, each.source, parse(f"later[{index}].test", each.test) if each.test else None)
            for index, each in enumerate(entry.later)
        ),
        finding=sentence("finding", entry.finding),
        needs=sentence("needs", entry.needs),
    )


def _by_id(line: str, document: Any) -> str:
    """Names a claim by its id, where it has one, instead of its place in the file."""

    def name(match: re.Match[str]) -> str:
        entry = document["claims"][int(match[1])]
        found = entry.get("id") if isinstance(entry, dict) else None
        return f"{found}: " if isinstance(found, str) and found.isprintable() else match[0]

    return re.sub(r"(?<=: )claims\[(\d+)\]\.(?!id\b)", name, line, count=1)
