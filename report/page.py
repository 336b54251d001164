"""One self-contained HTML page of a run: style, figures and tables are in it, and nothing is fetched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from report.claims import Verdict
from report.figures import Drawn, Plot, render
from report.format import MISSING, figure, moment, percent, seconds
from report.runs import Manifest, Record
from report.table import REHEARSAL, Cell, Column, Table, measured_text, published_text, tone

TEMPLATES = Path(__file__).resolve().parent / "templates"


@dataclass(frozen=True)
class KeyFigure:
    name: str
    value: str
    unit: str = ""


@dataclass(frozen=True)
class Html:
    """A block from a template of its own."""

    template: str
    context: dict[str, Any]


@dataclass(frozen=True)
class Missing:
    """Says in a figure's or table's place what is not there."""

    text: str


Block = Plot | Table | Html | Missing


@dataclass(frozen=True)
class Section:
    name: str
    title: str
    blocks: Sequence[Block]


@dataclass(frozen=True)
class Page:
    question: str
    key_figures: Sequence[KeyFigure]
    sections: Sequence[Section]
    problems: Sequence[str]


def render_page(manifest: Manifest, page: Page, verdicts: Sequence[Verdict]) -> str:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    blocks: Any = environment.get_template("blocks.html.j2").module
    rehearsal = manifest.rehearsal

    def draw(block: Block) -> Markup:
        if isinstance(block, Plot):
            drawn: Drawn = render(block)
            return Markup(blocks.drawing(drawn, rehearsal))
        if isinstance(block, Table):
            return Markup(blocks.table(block, block.titled(rehearsal)))
        if isinstance(block, Html):
            html = environment.get_template(block.template).render(rehearsal=rehearsal, **block.context)
            return Markup(html)
        return Markup('<p class="missing">{}</p>').format(block.text)

    return environment.get_template("page.html.j2").render(
        style=Markup((TEMPLATES / "style.css").read_text(encoding="utf-8")),
        manifest=manifest,
        page=page,
        verdicts=verdicts,
        facts=_facts(manifest),
        versions=[
            *_flat(manifest.versions),
            *(("plan: " + name, value) for name, value in _flat(manifest.plan)),
        ],
        steps=steps_table(manifest),
        draw=draw,
        mark=lambda: Markup('<span class="mark">{}</span>').format(REHEARSAL) if rehearsal else "",
        moment=moment,
        percent=percent,
        tone=tone,
        published_text=published_text,
        measured_text=measured_text,
    )


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
    return [
        ("stack", manifest.stack),
        ("region", f"{manifest.region} ({REHEARSAL})" if manifest.rehearsal else manifest.region),
        ("started", moment(manifest.started_at)),
        ("took", seconds(_seconds_between(manifest.started_at, manifest.finished_at))),
        ("status", manifest.status),
    ]


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
            flat.append((label, ", ".join(_words(item) for item in value) or MISSING))
        else:
            flat.append((label, MISSING if value is None else str(value)))
    return flat


def _words(item: object) -> str:
    if isinstance(item, dict):
        return " ".join(f"{name} {value}" for name, value in item.items()).replace("_", " ")
    return str(item)
