"""Figures beside the page: in colours of their own, marked, and those of the newest report alone."""

from __future__ import annotations

import struct
import xml.etree.ElementTree as xml
from pathlib import Path

import pytest

from report.__main__ import main
from report.build import build_report
from report.chart import MARK
from tests.report.run_builder import RunBuilder


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return RunBuilder(seconds=2).write(tmp_path)


def test_each_chart_of_the_page_is_a_file_that_stands_alone(run: Path) -> None:
    report = build_report(run)
    files = sorted((run / "figures").iterdir())
    assert files == sorted(report.figures)
    assert {file.stem for file in files} == set(report.rendered.charts)
    for file in files:
        text = file.read_text()
        assert xml.fromstring(text).tag == "{http://www.w3.org/2000/svg}svg"
        assert MARK in text
        assert "var(--" not in text


def test_png_is_made_when_asked_for_and_kept_up_to_date(run: Path) -> None:
    build_report(run)
    assert not list((run / "figures").glob("*.png"))
    assert main(["--png", str(run)]) == 0
    picture = run / "figures" / "scaling.png"
    width, _ = struct.unpack(">II", picture.read_bytes()[16:24])
    assert width > 1200
    picture.write_bytes(b"of an older report")
    (run / "figures" / "gone.svg").write_text("of a figure that there is no more")
    (run / "figures" / "notes.txt").write_text("a person's own")
    build_report(run)
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert not (run / "figures" / "gone.svg").exists()
    assert (run / "figures" / "notes.txt").exists()
