"""The ledger, claims/<experiment>.yaml: what was published, and how a summary tests it.

The classes below are the file's format, and docs/reference/claims.md is made from them. Formulas are in the language of
report/expressions.py, with `published` and `tolerance` as names; sentences have figures of the summary in braces:

    measured: volume.sequential_mb_per_s
    when: drill.hosts_killed == 2
    needs: "two killed servers; killed: {drill.hosts_killed}"
    test: published * (1 - tolerance) <= volume.sequential_mb_per_s

Each file of claims/ is an example.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from documents import DocumentError, Fault, Items, Model, Number, Text, read
from report.expressions import Expression, ExpressionError, Sentence

SCHEMA = 1
_DEPTH_MAX = 20  # of a claims file, in which a point lies five deep
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
class Later(Model):
    """What the provider has documented since."""

    fact: Prose
    date: Prose
    source: Prose
    test: Formula | None = None
    """Where this is true, the run differs as documented"""


@dataclass(frozen=True)
class Claim(Model):
    """A claim."""

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
    later: Annotated[tuple[Later, ...], Items("a list of facts")] = ()
    """What the provider has documented since"""
    needs: Prose | None = None
    """Why the claim is not judged where `when` is false: a sentence with figures of the summary in braces"""
    finding: Prose | None = None
    """What the run found: a sentence with figures of the summary in braces"""

    def expression(self, formula: str, summary_type: type) -> Expression:
        """Returns one of its formulas. Raises ExpressionError if it can't be tested on a summary of this type."""
        names = {"published": self.published.value, "tolerance": self.tolerance.ratio if self.tolerance else None}
        return Expression.parse(formula, summary_type, names)


@dataclass(frozen=True)
class Ledger(Model):
    """The ledger of an experiment: claims/<experiment>.yaml."""

    schema: Annotated[int, Number(SCHEMA, SCHEMA)]
    """The version of this format"""
    experiment: Prose
    """The experiment's name, which is the file's, too"""
    claims: Annotated[tuple[Claim, ...], Items("a list of at least one claim", least=1, unique=["id"])]

    def faults(self) -> Iterator[Fault]:
        """Checks that the claims are of the experiment."""
        for index, claim in enumerate(self.claims):
            if not claim.id.startswith(f"{self.experiment}/"):
                yield Fault(("claims", index, "id"), claim.id, f"an id that begins with {self.experiment}/")


def load_claims(experiment: str, summary_type: type, folder: Path = CLAIMS) -> list[Claim]:
    """Reads the ledger of an experiment. Raises ClaimError with a line for each fault that can be found at once."""
    path = folder / f"{experiment}.yaml"
    document = _read_yaml(path)
    try:
        ledger = read(Ledger, document, str(path), "a mapping")
    except DocumentError as error:
        raise ClaimError("\n".join(_by_id(line, document) for line in error.lines)) from None
    if ledger.experiment != experiment:
        raise ClaimError(f"{path}: experiment is {ledger.experiment!r}, the file's name says {experiment!r}")
    if faults := [f"{path}: {fault}" for claim in ledger.claims for fault in _faults_of_formulas(claim, summary_type)]:
        raise ClaimError("\n".join(faults))
    return list(ledger.claims)


def _faults_of_formulas(claim: Claim, summary_type: type) -> Iterator[str]:
    """Yields why an expression or a sentence of the claim can't be used with a summary of this type."""
    conditions = {"when": claim.when, "test": claim.test}
    conditions |= {f"later[{index}].test": later.test for index, later in enumerate(claim.later)}
    sentences = {"applies.reason": claim.applies.reason, "finding": claim.finding, "needs": claim.needs}
    for field, text in {"measured": claim.measured, **conditions, **sentences}.items():
        if text is None:
            continue
        try:
            if field in sentences:
                Sentence.parse(text, summary_type)
            elif (kind := claim.expression(text, summary_type).kind) != "boolean" and field in conditions:
                raise ExpressionError(f"{text} is a {kind}, it can't hold or differ")
        except ExpressionError as error:
            yield f"{claim.id}: {field}: {error}"


def _read_yaml(path: Path) -> Any:
    """Returns the document. Raises ClaimError with one line for a file that can't be read or is no YAML."""
    import yaml  # slow to load, and the ledger needs it only when a claim has changed

    class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
        """libyaml's where PyYAML was built with it: a tenth of the time. Refuses a field that a mapping has twice, of
        which YAML's readers take the last.
        """

        def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> Any:
            names = [key.value for key, _ in node.value]
            for key, _ in node.value:
                if names.count(key.value) > 1:
                    raise yaml.constructor.ConstructorError(None, None, f"{key.value!r} is there twice", key.start_mark)
            return super().construct_mapping(node, deep)

    try:
        text = path.read_text(encoding="utf-8")
        _check_shape(yaml.parse(text, Loader=Loader))
        return yaml.load(text, Loader=Loader)
    except FileNotFoundError:
        raise ClaimError(f"{path}: no such file; each experiment has one") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ClaimError(f"{path}: can't be read: {getattr(error, 'strerror', error)}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # a date such as 2018-13-01 is a ValueError
        raise ClaimError(f"{path}: not YAML: {' '.join(str(error).split())}") from None


def _check_shape(events: Iterable[Any]) -> None:
    """Raises YAMLError for what a reader can't bear: collections nested so deeply that libyaml's reader, which calls
    itself for each, would end this process (seen with 50,000), and aliases, by which a collection may contain itself.
    """
    import yaml

    depth = 0
    for event in events:
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEPTH_MAX:
            problem = f"nested more than {_DEPTH_MAX} deep"
        elif isinstance(event, yaml.AliasEvent):
            problem = f"*{event.anchor}: write out what is meant"
        else:
            continue
        raise yaml.YAMLError(f"{problem}, {event.start_mark}")


def _by_id(line: str, document: Any) -> str:
    """Names a claim by its id, where it has one, instead of its place in the file."""

    def name(match: re.Match[str]) -> str:
        entry = document["claims"][int(match[1])]
        found = entry.get("id") if isinstance(entry, dict) else None
        return f"{found}: " if isinstance(found, str) and found.isprintable() else match[0]

    return re.sub(r"(?<=: )claims\[(\d+)\]\.(?!id\b)", name, line, count=1)
