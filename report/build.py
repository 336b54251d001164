"""From a run directory to summary.json, verdicts.json, report.html and figures/; always the same from the same."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from report.claims import CLAIMS, Verdict, judge, load_claims
from report.experiments import EXPERIMENTS, Experiment
from report.figure_files import write_figures
from report.page import Shown, render_page
from report.runs import Run, RunError, list_runs, open_run
from report.table import Table, claims_table
from report.verdicts import VERDICTS, verdicts_json
from report.whole_files import write_whole


@dataclass(frozen=True)
class Report:
    run: Run
    summary: Any
    verdicts: list[Verdict]
    shown: Shown
    tables: list[Table]
    page: Path
    figures: list[Path]


def build_report(run_path: Path, claims: Path = CLAIMS, *, png: bool = False) -> Report:
    """Writes into the run directory; RunError or ClaimError says in one line why it can't. Figures are SVG, and with
    `png` that, too.
    """
    run = open_run(run_path)
    experiment = _experiment(run)
    ledger = load_claims(run.manifest.experiment, experiment.summary_type, claims)
    summary = experiment.summarize(run)
    verdicts = [judge(claim, summary, run.manifest.rehearsal) for claim in ledger]
    shown = Shown.drawn(run.manifest, experiment.page(run.manifest, summary, ledger), verdicts)
    page = run.path / "report.html"
    try:
        write_whole(run.path / "summary.json", summary_json(summary))
        write_whole(run.path / VERDICTS, verdicts_json(verdicts))
        write_whole(page, render_page(shown))
        figures = write_figures(shown, run.path / "figures", png=png)
    except OSError as error:
        raise RunError(f"{error.filename}: can't be written: {error.strerror}") from None
    tables = [*experiment.tables(summary), claims_table(verdicts)]
    return Report(run, summary, verdicts, shown, tables, page, figures)


def newest_run(results: Path) -> Path:
    listed = list_runs(results)
    whole = [item.path for item in listed if item.run is not None]
    if whole:
        return whole[-1]
    if listed:
        raise RunError(f"{results}: all of its {len(listed)} runs are damaged; the newest: {listed[-1].damage}")
    raise RunError(f"{results}: no run is there; `fab NAME.run` of an experiment makes one")


def summary_json(summary: Any) -> str:
    return msgspec.json.format(msgspec.json.encode(summary), indent=1).decode() + "\n"


def _experiment(run: Run) -> Experiment:
    name = run.manifest.experiment
    if name not in EXPERIMENTS:
        raise RunError(f"{run.path}: experiment {name!r} is not one of {', '.join(EXPERIMENTS)}")
    return EXPERIMENTS[name]()
