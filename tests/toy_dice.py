"""A seventh experiment for tests: what it has in report/ and claims/."""

from __future__ import annotations

import json

SCHEMA = """
from dataclasses import dataclass

from report.summary import RunSummary


@dataclass(frozen=True)
class Summary(RunSummary):
    throws: int
"""
PAGE = """
from report.page import KeyFigure, Page, Section
from report.summary import run_fields
from report.table import Table, TextColumn
from report.toy_dice.schema import Summary


def summarize(run):
    return Summary(**run_fields(run, 1), throws=len(list(run.stream("throws"))))


def page(manifest, summary, claims):
    table = Table.of("Throws of the dice", [TextColumn("number", str)], [summary.throws], name="throws")
    return Page("Is it a die?", [KeyFigure("throws", str(summary.throws))], [Section("throws", "Throws", [table])], [])
"""
CLAIM = {
    "id": "toy-dice/thrown",
    "claim": "It is thrown twice.",
    "published": {"value": 2, "unit": "throws", "date": "2026", "source": "a toy"},
    "applies": {"where": "either"},
    "measured": "throws",
    "test": "throws == published",
    "tolerance": None,
}
CLAIMS = json.dumps({"schema": 1, "experiment": "toy-dice", "claims": [CLAIM]})
