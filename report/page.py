"""What a page consists of, and how it becomes one HTML file that fetches nothing: style and figures are in it."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from report.chart import CONFIG, NUMBERS, Chart, DrawnChart, draw_chart, library
from report.format import MISSING, figure, moment, percent, seconds
from report.records import Record, mapping, number, or_none, text
from report.runs import Manifest
from report.table import REHEARSAL, Cell, Column, Missing, Table, marked
from report.verdicts import Verdict, measured_text, published_text, tone

# An experiment's own templates are in its folder.
ROOM = Path(__file__).resolve().parent
TEMPLATES = ROOM / "templates"


@dataclass(frozen=True)
class KeyFigure:
    name: str
    value: str
    unit: str = ""


@dataclass(frozen=True)
class Html:
    """A block with a template of its own."""

    template: str
    context: dict[str, Any]


Block = Chart | Table | Html | Missing


@dataclass(frozen=True)
class Section:
    name: str
    title: str
    blocks: Sequence[Block | None]  # None: nothing to show, and nothing to say about it


@dataclass(frozen=True)
class Page:
    question: str
    key_figures: Sequence[KeyFigure]
    sections: Sequence[Section]
    problems: Sequence[str]
    has_steps: bool = False  # a section shows the steps, so that the manifest's need not


@dataclass(frozen=True)
class RenderedRun:
    """A run with its charts drawn, by name: the page and the files beside it show the same drawings."""

    manifest: Manifest
    page: Page
    verdicts: Sequence[Verdict]
    charts: Mapping[str, DrawnChart]

    @classmethod
    def draw(cls, manifest: Manifest, page: Page, verdicts: Sequence[Verdict]) -> RenderedRun:
        charts = [block for section in page.sections for block in section.blocks if isinstance(block, Chart)]
        return cls(manifest, page, verdicts, {chart.name: draw_chart(chart, manifest.rehearsal) for chart in charts})


def render_page(run: RenderedRun) -> str:
    manifest = run.manifest
    title = f"{manifest.experiment} \u00b7 {manifest.stack} \u00b7 {moment(manifest.started_at)}"
    return _document(title, run_html(run))


def render_overview(runs: Sequence[tuple[RenderedRun, str]], missing: Sequence[str]) -> str:
    """Returns one page of several runs, each with the path of its own. `missing` are experiments without a run."""
    described = [
        {
            "manifest": run.manifest,
            "prefix": (prefix := f"{run.manifest.experiment}-"),
            "counted": Counter(verdict.verdict for verdict in run.verdicts),
            "path": path,
            "html": run_html(run, prefix),
        }
        for run, path in runs
    ]
    rehearsal = any(run.manifest.rehearsal for run, _ in runs)
    body = _fill("overview.html.j2", runs=described, missing=missing, rehearsal=rehearsal)
    return _document("tidemark: which of the published claims hold?", body)


def run_html(run: RenderedRun, prefix: str = "") -> Markup:
    """Returns everything about a run. `prefix` begins its ids if other runs are in the same page."""
    blocks: Any = _environment().get_template("blocks.html.j2").module
    manifest = run.manifest
    rehearsal = manifest.rehearsal

    def draw(block: Block | None) -> Markup:
        if block is None:
            return Markup()
        if isinstance(block, Chart):
            return Markup(blocks.chart(run.charts[block.name], rehearsal))
        if isinstance(block, Table):
            return Markup(blocks.table(block, block.titled(rehearsal)))
        if isinstance(block, Html):
            return _fill(block.template, rehearsal=rehearsal, **block.context)
        return Markup('<p class="missing">{}</p>').format(block.text)

    html = _fill(
        "run.html.j2",
        manifest=manifest,
        page=run.page,
        verdicts=run.verdicts,
        facts=_facts(manifest),
        versions=[
            *_flat(manifest.versions),
            *(("plan: " + name, value) for name, value in _flat(manifest.plan)),
        ],
        steps=steps_table(manifest),
        draw=draw,
        mark=lambda: Markup('<span class="mark">{}</span>').format(REHEARSAL) if rehearsal else "",
    )
    return _with_prefix(html, prefix) if prefix else html


def _document(title: str, body: Markup) -> str:
    charts = 'class="chart"' in body
    return _fill(
        "page.html.j2",
        title=title,
        style=_template("style.css"),
        body=body,
        charts=charts,
        settings=Markup(json.dumps({"config": CONFIG, "numbers": NUMBERS})),
        library=Markup(library()) if charts else "",
        script=_template("page.js"),
    )


def _fill(template: str, **context: Any) -> Markup:
    return Markup(_environment().get_template(template).render(context))


def _with_prefix(html: str, prefix: str) -> Markup:
    """Begins each id, and each reference to one, with the prefix. Quotation marks in scripts are escaped: they stay."""
    html = re.sub(r'\bid="', f'id="{prefix}', html)
    return Markup(re.sub(r'(href="#|url\(#)', rf"\g<1>{prefix}", html))


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([TEMPLATES, ROOM]),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.globals |= {each.__name__: each for each in (moment, percent, tone, published_text, measured_text)}
    return environment


def _template(name: str) -> Markup:
    return Markup((TEMPLATES / name).read_text(encoding="utf-8"))


def steps_table(manifest: Manifest) -> Table:
    known = [step.seconds for step in manifest.steps if step.seconds is not None]
    rows: list[tuple[Cell | str, ...]] = [
        (step.name, seconds(step.seconds), figure(step.changes)) for step in manifest.steps
    ]
    if known and len(known) == len(manifest.steps):
        rows.append(("all", seconds(sum(known)), ""))
    return Table(
        "Steps of the run", [Column("step"), Column("time", True), Column("changes", True)], rows, name="steps"
    )


def _facts(manifest: Manifest) -> list[tuple[str, str]]:
    seconds_taken = _seconds_between(manifest.started_at, manifest.finished_at)
    return [
        ("stack", manifest.stack),
        ("region", marked(manifest.region, manifest.rehearsal)),
        ("started", moment(manifest.started_at)),
        ("took", seconds(seconds_taken)),
        ("status", manifest.status),
        ("cost", cost_text(manifest, seconds_taken)),
    ]


def cost_text(manifest: Manifest, run_seconds: float | None) -> str:
    """Dollars an hour, and for the time of the run where that is known. Says of a rehearsal that it costs nothing, and
    what it would cost on AWS.
    """
    cost = or_none(mapping, manifest.inventory, "cost") or {}
    usd_per_hour, prices_of = or_none(number, cost, "usd_per_hour"), or_none(text, cost, "prices_of")
    if usd_per_hour is None or prices_of is None:
        return MISSING
    found = f"{_dollars(usd_per_hour)} an hour"
    if run_seconds is not None:
        found += f", {_dollars(usd_per_hour * run_seconds / 3600)} for the time of this run"
    besides = cost.get("besides")
    if isinstance(besides, list) and besides:
        found += f", plus {', '.join(str(each) for each in besides)}"
    found += f" (prices of {prices_of}, without traffic and tax)"
    return f"nothing: a rehearsal; on AWS it would be {found}" if manifest.rehearsal else found


def _dollars(amount: float) -> str:
    """Writes an amount to the cent; below that, with two significant digits."""
    return f"${amount:.2f}" if amount >= 0.01 else f"${amount:.2g}"


def _seconds_between(start: str, end: str | None) -> float | None:
    try:
        return None if end is None else (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()
    except (ValueError, TypeError):
        return None


def _flat(record: Record, prefix: str = "") -> list[tuple[str, str]]:
    flat: list[tuple[str, str]] = []
    for name, value in record.items():
        label = f"{prefix}{name}".replace("_", " ")
        if isinstance(value, dict):
            flat += _flat(value, f"{label} ")
        elif isinstance(value, list):
            flat.append((label, ", ".join(_item_text(item) for item in value) or MISSING))
        else:
            flat.append((label, MISSING if value is None else str(value)))
    return flat


def _item_text(item: object) -> str:
    if isinstance(item, dict):
        return " ".join(f"{name} {value}" for name, value in item.items()).replace("_", " ")
    return str(item)
