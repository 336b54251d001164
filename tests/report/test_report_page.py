from __future__ import annotations

import io
import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from report import format as words
from report.__main__ import main
from report.build import build_report
from report.chart import MARK
from report.md_raid.experiment import topology
from report.md_raid.schema import Array, Leg
from report.page import Html
from report.panels import PALETTE
from report.table import Cell, Column, Table
from report.terminal import console, print_table
from tests.report.run_builder import RunBuilder

ROOT = Path(__file__).resolve().parents[2]
STYLE = ROOT / "report" / "templates" / "style.css"


class Page(HTMLParser):
    """What a browser would fetch, which ids there are, and whether tags are closed in order."""

    VOID = frozenset({"meta", "br", "img", "link", "input", "hr"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.fetched: list[str] = []
        self.references: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._attributes(tag, attrs)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._attributes(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def _attributes(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag not in ("link", "img", "iframe")
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            elif name in ("src", "href", "xlink:href"):
                (self.references if (value or "").startswith("#") else self.fetched).append(value or "")


def assert_marked_chart(html: str, name: str, panels: int) -> None:
    """The SVG and what the browser draws have the mark in each panel."""
    figure = html[html.index(f'<figure id="figure-{name}" class="chart">') :]
    figure = figure[: figure.index("</figure>")]
    assert figure.count("<svg") == 1
    assert "(rehearsal)" in figure
    drawn, _, document = figure.partition('<script type="application/json">')
    shown = json.loads(document.partition("</script>")[0])
    assert len(shown) == panels
    assert [panel["title"]["subtitle"] for panel in shown] == [MARK] * panels
    assert drawn.count(f">{MARK}</text>") == panels


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = RunBuilder(seconds=2).write(tmp_path_factory.mktemp("results"))
    build_report(path)
    return path


def test_the_page_is_whole_and_fetches_nothing(made: Path) -> None:
    html = (made / "report.html").read_text()
    page = Page(html)
    assert page.open == []
    assert page.fetched == []
    assert not re.search(r"@import|url\((?!#)", re.sub(r"<script.*?</script>", "", html, flags=re.DOTALL))
    assert len(page.ids) == len(set(page.ids))
    assert {reference[1:] for reference in page.references} <= set(page.ids)


def test_the_page_has_its_figures_and_marks_the_rehearsal_in_each(made: Path) -> None:
    html = (made / "report.html").read_text()
    for name in ("scaling", "latency", "drill"):
        assert_marked_chart(html, name, panels=3 if name == "drill" else 2)
    captions = re.findall(r"<figcaption>(.*?)</figcaption>", html, re.DOTALL)
    assert len(captions) >= 12
    assert all("(rehearsal)" in caption for caption in captions)


def test_a_run_on_aws_bears_no_mark(tmp_path: Path) -> None:
    path = RunBuilder(rehearsal=False, seconds=2).write(tmp_path)
    build_report(path)
    html = (path / "report.html").read_text().lower()
    html = re.sub(r"<style>.*?</style>|<script>.*?</script>", "", html, flags=re.DOTALL)
    assert "rehearsal" not in html
    assert "limited by server ebs link" in html


def test_colours_of_figures_follow_the_page(made: Path) -> None:
    html = (made / "report.html").read_text()
    drawings = "".join(re.findall(r"<svg.*?</svg>", html, re.DOTALL))
    assert not [colour for colour in PALETTE.values() if colour in drawings]
    style = STYLE.read_text()
    for name, colour in PALETTE.items():
        assert style.count(f"--{name}:") == 2
        assert f"--{name}: {colour}" in style
    assert len(set(PALETTE.values())) == len(PALETTE)


@pytest.mark.usefixtures("draw_anew")
def test_made_again_it_is_the_same(made: Path) -> None:
    before = [
        (made / name).read_bytes() for name in ("summary.json", "verdicts.json", "report.html", "figures/scaling.svg")
    ]
    build_report(made)
    assert before == [
        (made / name).read_bytes() for name in ("summary.json", "verdicts.json", "report.html", "figures/scaling.svg")
    ]
    assert sorted(p.name for p in made.iterdir()) == [
        "figures",
        "manifest.json",
        "raw",
        "report.html",
        "summary.json",
        "verdicts.json",
    ]


def test_made_again_by_the_command_it_is_the_same(made: Path) -> None:
    names = ("summary.json", "report.html", "figures/scaling.svg")
    before = [(made / name).read_bytes() for name in names]
    ran = subprocess.run(
        [sys.executable, "-m", "report", str(made)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert ran.stderr == ""
    assert before == [(made / name).read_bytes() for name in names]


def test_what_is_missing_is_a_dash_or_said_and_never_zero(tmp_path: Path) -> None:
    builder = RunBuilder(seconds=2)
    for record in builder.streams["cells"]:
        record.update(complete=False, reason="the client went away")
    builder.manifest.update(status="failed", reason="client <stopped> answering", finished_at=None)
    path = builder.write(tmp_path)
    for stream in ("drill", "proofs", "arrays"):
        (path / "raw" / f"{stream}.ndjson").unlink()
    build_report(path)
    html = (path / "report.html").read_text()
    assert Page(html).open == []
    assert "This run is failed." in html
    assert "client &lt;stopped&gt; answering" in html
    assert "not measured: the client went away" in html
    assert "No proof was recorded." in html
    row = re.search(r"<tr><td>stripe</td>.*?</tr>", html)
    assert row is not None
    assert re.findall(r">([^<]*)</td>", row[0])[4:8] == [words.MISSING] * 4


def test_a_run_with_nothing_in_it(tmp_path: Path) -> None:
    builder = RunBuilder(seconds=2)
    builder.streams = {name: [] for name in builder.streams}
    builder.manifest.update(status="running", inventory={}, steps=[], plan={}, versions={})
    path = builder.write(tmp_path)
    build_report(path)
    html = (path / "report.html").read_text()
    assert "No cell of the sweep was recorded." in html
    assert "The failure drill was not run." in html
    assert "No steps were recorded." in html
    assert json.loads((path / "summary.json").read_text())["volume"]["sequential_mb_per_s"] is None


def test_a_volume_in_no_mirror_is_drawn_beside_them(tmp_path: Path) -> None:
    builder = RunBuilder(seconds=2)
    spare = {"id": "vol-0feedfacefeed7777", "device": "/dev/sdz", "size_gib": 9, "type": "gp3", "iops": None}
    builder.manifest["inventory"]["hosts"][1]["volumes"].append(spare)
    path = builder.write(tmp_path)
    build_report(path)
    html = (path / "report.html").read_text()
    assert "no mirror" in html
    assert "7777" in html


def test_main_writes_and_prints(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    older = RunBuilder(seconds=2).write(tmp_path, "2026-11-22T103000Z")
    newer = RunBuilder(seconds=2).write(tmp_path)
    damaged = tmp_path / "md-raid" / "md-raid.lab" / "2026-11-24T000000Z"
    damaged.mkdir()
    assert main(["--results", str(tmp_path), "--verbose"]) == 0
    out, err = capsys.readouterr()
    assert (newer / "summary.json").exists()
    assert not (older / "summary.json").exists()
    assert "Sequential reads of 1 MiB: rates (rehearsal)" in out
    assert "Claims (rehearsal)" in out
    assert out.rstrip().endswith(f"report: {newer / 'report.html'}")
    assert "\x1b" not in out
    assert err == f"report: {damaged}: damaged: no manifest.json\n"
    assert main([str(older)]) == 0
    assert (older / "report.html").exists()
    brief = capsys.readouterr().out
    assert re.search(r"^not judged .* \(rehearsal\)$", brief, re.MULTILINE)
    assert "rates (rehearsal)" not in brief
    assert len(brief.splitlines()) <= 24, "verdicts, key figures and the page are one screenful"
    assert brief.rstrip().endswith(f"`fab report --verbose` prints them.\nreport: {older / 'report.html'}")


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["{tmp}/nowhere"], 2, "no such run directory"),
        (["--results", "{tmp}"], 1, "no run is there"),
        (["{tmp}"], 1, "damaged: no manifest.json"),
        (["a" * 5_000], 2, "File name too long"),
        ([""], 2, "names no run directory"),
    ],
)
def test_main_s_errors_are_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, says: str
) -> None:
    assert main([argument.format(tmp=tmp_path) for argument in arguments]) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert says in err


def test_main_on_an_unknown_experiment(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    builder = RunBuilder(seconds=2)
    builder.manifest["experiment"] = "tea-time"
    path = builder.write(tmp_path)
    assert main([str(path)]) == 1
    assert "experiment 'tea-time' is not one of efs-iops, eip-region" in capsys.readouterr().err


def test_main_refuses_an_unknown_option(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["--colour"])
    assert stop.value.code == 2


def test_a_table_for_a_pipe_is_plain_and_cuts_nothing() -> None:
    out = io.StringIO()
    long = "a rather long reason " * 6
    table = Table("T", [Column("name"), Column("n", True)], [("x", "1"), (Cell(long.strip(), "bad"), "2")])
    print_table(console(out), table, rehearsal=True)
    text = out.getvalue()
    assert text.startswith("T (rehearsal)")
    assert "\x1b" not in text
    assert long.strip() in text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "\u2013"),
        (0, "0"),
        (0.0, "0"),
        (0.01234, "0.0123"),
        (0.0000123, "1.23e-05"),
        (1.2345, "1.23"),
        (99.96, "100"),
        (123.4, "123"),
        (12345, "12\u202f345"),
        (True, "yes"),
        ("x", "x"),
    ],
)
def test_figures_as_a_person_reads_them(value: float | str | None, text: str) -> None:
    assert words.figure(value) == text


def test_times_and_sizes() -> None:
    assert [words.seconds(v) for v in (None, 0.0651, 5.31, 251.6)] == [words.MISSING, "65 ms", "5.3 s", "4 min 12 s"]
    assert [words.size_bytes(v) for v in (None, 512, 4096, 1 << 20)] == [words.MISSING, "512 B", "4 KiB", "1 MiB"]
    assert words.moment("2026-11-23T10:30:00Z") == "2026-11-23 10:30:00 UTC"


def test_the_topology_has_a_column_for_each_mirror_and_none_for_the_stripe_over_them() -> None:
    legs = [Leg(number, f"storage-{number + 1}", f"vol-{number}") for number in range(3)]
    stripe_legs = [Leg(0, None, None)]
    arrays = [
        Array(array="md1", level="raid10", layout="o3", raid_devices=3, size_bytes=15 << 30, legs=legs),
        Array(array="md99", level="raid0", layout=None, raid_devices=1, size_bytes=15 << 30, legs=stripe_legs),
    ]
    hosts = [
        {"name": f"storage-{n + 1}", "role": "storage", "type": "c4.8xlarge", "volumes": [{"id": f"vol-{n}"}]}
        for n in range(3)
    ]
    drawn = topology({"hosts": hosts}, arrays)
    assert isinstance(drawn, Html)
    assert [column["name"] for column in drawn.context["columns"]] == ["md1"]
