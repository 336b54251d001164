"""Makes summary.json, verdicts.json, report.html and figures/ of a run; always the same from the same records."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from report.atomic_write import write_atomically
from report.chart import plain_svg, to_png
from report.claims import CLAIMS, load_claims
from report.experiments import experiment_names, load_experiment, summary_type
from report.page import RenderedRun, render_page
from report.runs import Run, RunError, open_run
from report.table import Table
from report.verdicts import VERDICTS, Verdict, claims_table, judge, verdicts_json


@dataclass(frozen=True)
class Report:
    run: Run
    summary: Any
    verdicts: list[Verdict]
    rendered: RenderedRun
    tables: list[Table]  # for a terminal
    page: Path
    figures: list[Path]


def build_report(run_path: Path, *, png: bool = False) -> Report:
    """Writes the report into the run directory. Raises RunError or ClaimError, whose text is one line.

    Figures are written as SVG; as PNG too if `png`, or if an earlier report did.
    """
    run = open_run(run_path)
    manifest, name = run.manifest, run.manifest.experiment
    if name not in experiment_names():
        raise RunError(f"{run.path}: experiment {name!r} is not one of {', '.join(experiment_names())}")
    experiment = load_experiment(name)
    ledger = load_claims(name, summary_type(name), CLAIMS)
    summary = experiment.summarize(run)
    verdicts = [judge(claim, summary, manifest.rehearsal) for claim in ledger]
    page = experiment.page(manifest, summary, ledger)
    rendered = RenderedRun.draw(manifest, page, verdicts)
    html = run.path / "report.html"
    try:
        write_atomically(run.path / "summary.json", summary_json(summary))
        write_atomically(run.path / VERDICTS, verdicts_json(verdicts))
        write_atomically(html, render_page(rendered))
        figures = _write_figures(rendered, run.path / "figures", png=png)
    except OSError as error:
        raise RunError(f"{error.filename}: can't be written: {error.strerror}") from None
    blocks = [block for section in page.sections for block in section.blocks]
    tables = [block for block in blocks if isinstance(block, Table) and not block.page_only]
    return Report(run, summary, verdicts, rendered, [*tables, claims_table(verdicts)], html, figures)


def summary_json(summary: Any) -> str:
    return msgspec.json.format(msgspec.json.encode(summary), indent=1).decode() + "\n"


def _write_figures(rendered: RenderedRun, folder: Path, *, png: bool) -> list[Path]:
    """A PNG that an earlier report left is written anew, so that it shows what the page shows. Removes the files of
    figures that the run no longer has.
    """
    written = []
    for name, drawn in rendered.charts.items():
        folder.mkdir(exist_ok=True)
        svg, picture = plain_svg(drawn), folder / f"{name}.png"
        write_atomically(folder / f"{name}.svg", svg)
        written.append(folder / f"{name}.svg")
        if png or picture.exists():
            write_atomically(picture, to_png(svg))
            written.append(picture)
    for path in folder.glob("*"):
        if path.suffix in (".svg", ".png") and path not in written:
            path.unlink()
    return written
