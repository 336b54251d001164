"""The page, the tables, the picture and the verdicts of an efs-iops run."""

from __future__ import annotations

import dataclasses
import io
import json
import re
from pathlib import Path

import pytest
import yaml
from rich.console import Console

from lab.paths import PROJECT
from report.__main__ import main
from report.build import build_report
from report.chart import draw_chart
from report.claims import CLAIMS, ClaimError, load_claims
from report.efs_iops.experiment import summarize
from report.efs_iops.figures import iops_plot, latency_plot
from report.efs_iops.schema import Summary
from report.efs_iops.tables import ROWS_MAX, agreement_tables
from report.efs_iops.time_figures import agreement_plot
from report.runs import open_run
from report.terminal import print_table
from report.verdicts import Verdict, judge
from tests.document_outputs import outputs_of, shape
from tests.report.efs_run_builder import STARTED_UNIX_S, EfsRunBuilder
from tests.report.test_report_page import Page, assert_marked_chart

FIGURES = ("iops", "latency", "timeline", "agreement")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = EfsRunBuilder().write(tmp_path_factory.mktemp("results"))
    build_report(path)
    return path


def summary_of(builder: EfsRunBuilder, tmp_path: Path) -> Summary:
    return summarize(open_run(builder.write(tmp_path)))


def verdicts(builder: EfsRunBuilder, tmp_path: Path) -> dict[str, Verdict]:
    summary = summary_of(builder, tmp_path)
    ledger = load_claims("efs-iops", Summary)
    return {claim.id.removeprefix("efs-iops/"): judge(claim, summary, builder.rehearsal) for claim in ledger}


def test_the_page_is_whole_and_marks_the_rehearsal(made: Path) -> None:
    html = (made / "report.html").read_text()
    page = Page(html)
    assert page.open == []
    assert page.fetched == []
    assert len(page.ids) == len(set(page.ids))
    assert {reference[1:] for reference in page.references} <= set(page.ids)
    for name in FIGURES:
        assert_marked_chart(html, name, panels=3 if name == "timeline" else 2)
    captions = re.findall(r"<figcaption>(.*?)</figcaption>", html, re.DOTALL)
    assert len(captions) >= 18
    assert all("(rehearsal)" in caption for caption in captions)


def test_the_end_of_the_tutorials_rehearsal_is_what_a_report_prints(
    made: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(made)]) == 0
    printed = capsys.readouterr().out.splitlines()
    shown = outputs_of(PROJECT / "docs/tutorial.md")
    end = shown[shown.index(next(line for line in shown if line.startswith("write limit found"))) :]
    assert {shape(line) for line in end[:4]} <= {shape(line) for line in printed}
    assert {line for line in end if line.startswith(("holds ", "not judged "))} <= set(printed)


def test_a_long_run_is_announced_with_its_size_and_time(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    long = tmp_path / "run"
    (long / "raw").mkdir(parents=True)
    with (long / "raw" / "worker.ndjson").open("w") as stream:
        stream.truncate(2_000_000_000)
    assert main([str(long)]) == 1, "it has no manifest"
    assert capsys.readouterr().err.startswith("report: 2.0 GB of records, about 20 s\n")
    assert main([str(made)]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.usefixtures("draw_anew")
def test_made_again_it_is_the_same(made: Path) -> None:
    names = ("summary.json", "report.html", "figures/iops.svg")
    before = [(made / name).read_bytes() for name in names]
    build_report(made)
    assert before == [(made / name).read_bytes() for name in names]


def test_a_run_on_aws_bears_no_mark_and_has_no_known_answers(tmp_path: Path) -> None:
    path = EfsRunBuilder(rehearsal=False).write(tmp_path)
    build_report(path)
    html = re.sub(
        r"<style>.*?</style>|<script>.*?</script>", "", (path / "report.html").read_text().lower(), flags=re.DOTALL
    )
    assert "rehearsal" not in html
    assert "known answers" not in html
    assert json.loads((path / "summary.json").read_text())["known_answers"] is None


def test_what_was_published_is_drawn_from_the_ledger(tmp_path: Path) -> None:
    summary = summary_of(EfsRunBuilder(), tmp_path)
    ledger = load_claims("efs-iops", Summary)
    points = sorted((p.of, p.x, p.y) for claim in ledger for p in claim.published.points)
    assert points == [
        ("read, one host", 40, 3500),
        ("read, two hosts", 80, 3500),
        ("write, one host", 1, 130),
        ("write, one host", 20, 1500),
        ("write, one host", 40, 2000),
        ("write, two hosts", 80, 3000),
    ]
    build = tmp_path / "efs-iops" / "efs-iops.lab" / "2026-11-23T103000Z"
    build_report(build)
    html = (build / "report.html").read_text()
    assert "published 2018" in html
    without = iops_plot(summary, [])
    assert without is not None
    drawn = draw_chart(without, rehearsal=True)
    assert "published 2018" not in drawn.svg + drawn.document
    assert "limit 3" in drawn.svg


def test_tables_fit_into_120_columns(made: Path) -> None:
    for table in build_report(made).tables[:-1]:  # the claims are sentences
        out = io.StringIO()
        print_table(Console(file=out, width=120, force_terminal=True, no_color=True, highlight=False), table, True)
        text = re.sub(r"\x1b\[[0-9;]*m", "", out.getvalue())
        assert "…" not in text, table.title
        assert max(len(line) for line in text.splitlines()) <= 120
        words = [column.name for column in table.columns if column.numeric]
        words += [
            cell if isinstance(cell, str) else cell.text
            for row in table.rows
            for cell, column in zip(row, table.columns, strict=True)
            if column.numeric
        ]
        assert [word for word in words if word not in text] == []
        assert table.columns[0].name in text


def test_a_run_with_nothing_in_it(tmp_path: Path) -> None:
    builder = EfsRunBuilder()
    builder.streams = {name: [] for name in builder.streams}
    builder.model = None
    builder.manifest.update(status="running", finished_at=None, inventory={}, steps=[], plan={}, versions={})
    path = builder.write(tmp_path)
    build_report(path)
    html = (path / "report.html").read_text()
    for words in (
        "No cell was recorded.",
        "No second of a worker was recorded.",
        "PercentIOLimit is not known.",
        "No proof was recorded.",
        "what ran where is not known",
    ):
        assert words in html
    summary = json.loads((path / "summary.json").read_text())
    assert summary["limits"]["write"]["limit_ops_per_s"] is None
    assert summary["agreement"]["read"] is None
    assert not (path / "figures").exists()


def test_a_cell_that_is_no_measurement_says_why(tmp_path: Path) -> None:
    builder = EfsRunBuilder()
    lost = next(r for r in builder.streams["cells"] if r["cell"] == "read-1-w40-i2")
    lost.update(complete=False, reason="client-2: the connection <ended>", lost_hosts=["client-2"])
    path = builder.write(tmp_path)
    build_report(path)
    html = (path / "report.html").read_text()
    assert "not measured: client-2: the connection &lt;ended&gt;" in html
    assert ", without client-2" in html
    assert Page(html).open == []


def test_of_many_cells_the_latency_figure_shows_those_of_the_smallest_requests(tmp_path: Path) -> None:
    builder = EfsRunBuilder()
    few = latency_plot(summary_of(builder, tmp_path / "few"))
    assert few is not None
    assert "Shown:" not in few.caption
    for size in range(2, 14):
        for writers, hosts in ((1, 1), (20, 1), (40, 1), (20, 2)):
            builder.cell("write", "fixed", size, writers, hosts)
    many = latency_plot(summary_of(builder, tmp_path / "many"))
    assert many is not None
    assert "Shown: the smallest request size and the sequential cells" in many.caption
    assert max(panel["height"] for panel in many.panels) < 800


def test_of_many_minutes_those_that_agree_least_are_shown(tmp_path: Path) -> None:
    summary = summary_of(EfsRunBuilder(), tmp_path)
    agreement = summary.agreement
    good, bad = agreement.minutes[1], agreement.minutes[0]
    many = dataclasses.replace(agreement, minutes=[good] * 40 + [bad] + [good] * 40)
    shown = {table.name: table for table in agreement_tables(many)}["minutes"]
    assert len(shown.rows) == ROWS_MAX
    assert f"Of 81 rows, the {ROWS_MAX} that agree least." in shown.note
    assert [row[0] for row in shown.rows].count("10:30 write") == 1


def test_one_minute_alone_has_no_figure_of_agreement(tmp_path: Path) -> None:
    builder = EfsRunBuilder()
    builder.manifest["finished_at"] = "2026-11-23T10:31:30Z"
    assert agreement_plot(summary_of(builder, tmp_path)) is None


def test_verdicts_of_a_rehearsal(tmp_path: Path) -> None:
    found = verdicts(EfsRunBuilder(), tmp_path)
    assert len(found) == 15
    tested = {name for name, verdict in found.items() if verdict.verdict != "not judged"}
    assert tested == {"ops-are-syscalls", "write-only"}
    assert {found[name].verdict for name in tested} == {"holds"}
    others = [verdict for name, verdict in found.items() if name not in tested]
    assert all(verdict.measured is not None and verdict.detail for verdict in others)
    assert found["read-two"].detail == "needs AWS: a rehearsal has the limits of its service model"
    assert found["limit-metric"].measured == pytest.approx(96, abs=1)


def test_verdicts_of_what_the_original_found(tmp_path: Path) -> None:
    found = verdicts(EfsRunBuilder(rehearsal=False), tmp_path)
    holding = {name for name, verdict in found.items() if verdict.verdict == "holds"}
    assert set(found) - holding == {"size-lags", "credits-last"}
    assert found["credits-last"].verdict == "not judged"
    assert found["credits-last"].detail == "needs 60 minutes of the metric; minutes: 4"


def test_today_s_quotas_differ(tmp_path: Path) -> None:
    class Today(EfsRunBuilder):
        def ops_per_s(self, op: str, size_bytes: int, writers: int, hosts: int) -> float:
            return min(super().ops_per_s(op, size_bytes, 1, 1) * writers, 7000 if op == "write" else 9000)

    found = verdicts(Today(rehearsal=False), tmp_path)
    for name in ("concurrency", "write-one", "write-two", "read-one", "read-two"):
        assert found[name].verdict == "differs"
    assert "above the published value" in found["write-two"].detail
    assert found["ops-are-syscalls"].verdict == "holds"


def test_a_read_while_only_writes_ran_differs(tmp_path: Path) -> None:
    builder = EfsRunBuilder()
    start = next(r for r in builder.streams["cells"] if r["cell"] == "write-1-w20-i1")["start_unix_s"]
    for record in builder.streams["mountstats"]:
        if record["host"] == "client-1" and record["t_unix_s"] > start + 2.5:
            record["ops"].setdefault("READ", builder._operation(0, 0, 0, 1.0))["operations"] += 7
    found = verdicts(builder, tmp_path)["write-only"]
    assert (found.verdict, found.measured) == ("differs", 7)


def test_hours_of_testing_that_leave_credits(tmp_path: Path) -> None:
    for left, verdict in ((5e9, "holds"), (0.0, "differs")):
        builder = EfsRunBuilder(rehearsal=False)
        for minute in range(90):
            builder._minute(STARTED_UNIX_S + 60 * minute, "BurstCreditBalance", "Bytes", 1, left, left, left)
        assert verdicts(builder, tmp_path / verdict)["credits-last"].verdict == verdict


def test_an_hour_s_lag_and_less(tmp_path: Path) -> None:
    for shown_after_s, verdict in ((5000, "holds"), (1800, "differs")):
        builder = EfsRunBuilder(rehearsal=False)
        looks = [(0, 0), (60, 10**9), *((60 + n * 300, 10**9) for n in range(1, 20))]
        builder.streams["storage"] = [
            {
                "t_unix_s": STARTED_UNIX_S + t,
                "host": "client-1",
                "df_total_bytes": 1 << 60,
                "df_used_bytes": 10**9 if t >= 60 + shown_after_s else 0,
                "files_bytes": files,
            }
            for t, files in looks
        ]
        assert verdicts(builder, tmp_path / verdict)["size-lags"].verdict == verdict


@pytest.mark.parametrize(
    ("points", "says"),
    [
        ("many", 'published.points is "many"; expected a'),
        ([7], "published.points[0] is 7; expected a"),
        ([{"of": "write", "x": 1}], "published.points[0].y is missing; expected a number"),
        ([{"of": "write", "x": 1, "y": "lots"}], 'published.points[0].y is "lots"; expected a number'),
        ([{"x": 1, "y": 2}], "published.points[0].of is missing; expected text"),
        ([{"of": "write", "x": 1, "y": 2, "z": 3}], "published.points[0].z is not a field; allowed are of, x, y"),
    ],
)
def test_a_wrong_point_is_named(tmp_path: Path, points: object, says: str) -> None:
    document = yaml.safe_load((CLAIMS / "efs-iops.yaml").read_text())
    document["claims"][0]["published"]["points"] = points
    (tmp_path / "efs-iops.yaml").write_text(yaml.safe_dump(document))
    with pytest.raises(ClaimError) as refusal:
        load_claims("efs-iops", Summary, tmp_path)
    message = str(refusal.value)
    assert says in message
    assert "efs-iops/ops-are-syscalls: published" in message


def test_each_claim_of_the_original_is_in_the_ledger() -> None:
    ledger = load_claims("efs-iops", Summary)
    assert [claim.id.removeprefix("efs-iops/") for claim in ledger] == [
        "ops-are-syscalls",
        "limits-both",
        "metered-4k",
        "concurrency",
        "write-one",
        "write-two",
        "read-one",
        "read-two",
        "limit-metric",
        "cw-statistics",
        "cw-agrees",
        "write-only",
        "sequential",
        "size-lags",
        "credits-last",
    ]
    assert {claim.published.date for claim in ledger} == {"2018"}
    assert len({claim.published.source for claim in ledger}) == 1
