"""md-raid's known answers: found by the cells' rates alone, for two models and one at random; what is wrong is seen."""

from __future__ import annotations

import dataclasses
import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from report.known_answers import KnownAnswers
from report.md_raid.experiment import page, summarize
from report.md_raid.hosts import CLIENT_CPU, CLIENT_NETWORK, EBS_LINK, SERVER_NETWORK, VOLUMES
from report.md_raid.known_answers import NOT_RUN, Rates, known_answers
from report.md_raid.schema import Cell, Evidence
from report.md_raid.service_model import ServiceModel, read_service_model
from report.runs import open_run
from report.table import Table
from tests.block_models import MODELS, RANDOM, model_of
from tests.report.model_run import ModelRun
from tests.report.run_builder import RunBuilder

MIB = 1 << 20
SEQUENTIAL_BYTES, RANDOM_BYTES = 1 << 18, 4096


class Measured:
    """The cells of a run with so many servers, of five volumes each, as a model makes them: within 2 % of it."""

    def __init__(self, tmp_path: Path, name: str, servers: int = 3) -> None:
        run = open_run(RunBuilder(seconds=3).write(tmp_path))
        (run.path / "service-model.json").write_text(json.dumps(model_of(name).to_dict()))
        found = read_service_model(run)
        assert found is not None
        self.model: ServiceModel = found
        self.rates = Rates.of(self.model, "c4.8xlarge", "c4.8xlarge", "gp2")
        self.noise = random.Random(self.model.name)
        self.cells = [
            self.cell("raw", "sequential", 1, 1),
            self.cell("raw", "random", 1, 1),
            *(self.cell("raw", "sequential", each, 5) for each in range(1, servers + 1)),
            self.cell("raw", "random", servers, 5),
            *(self.cell("stripe", "sequential", servers, each) for each in (1, 3, 5)),
            *(self.cell("stripe", "sequential", each, 5) for each in range(1, servers)),
            self.cell("stripe", "random", servers, 5),
        ]

    def cell(self, layout: str, pattern: str, servers: int, volumes: int) -> Cell:
        empty: dict[str, Any] = {field.name: None for field in dataclasses.fields(Cell)}
        evidence = Evidence(**{field.name: None for field in dataclasses.fields(Evidence)})
        blank = Cell(**empty)
        cell = dataclasses.replace(
            blank,
            cell=f"{layout}-{servers}x{volumes}-{pattern}",
            layout=layout,
            pattern=pattern,
            operation="read",
            readers="many",
            servers=servers,
            disks=servers * volumes,
            mirrors=None if layout == "raw" else volumes,
            request_bytes=SEQUENTIAL_BYTES if pattern == "sequential" else RANDOM_BYTES,
            evidence=evidence,
        )
        ceilings = self.rates.ceilings(cell)
        rate = min(ceilings.values()) * self.noise.uniform(0.98, 1.02)
        network = min(ceilings[SERVER_NETWORK], ceilings[CLIENT_NETWORK]) < min(ceilings[VOLUMES], ceilings[EBS_LINK])
        busy = min(rate / ceilings[VOLUMES], 1.0) if network else 0.99
        return dataclasses.replace(
            cell,
            mib_per_s=rate / MIB,
            iops=rate / cell.request_bytes,
            evidence=dataclasses.replace(evidence, volume_busy_ratio=busy, client_cpu_busy_ratio=0.5),
        )

    def answers(self, cells: Sequence[Cell] | None = None) -> KnownAnswers:
        return known_answers(self.model.name, self.rates, self.cells if cells is None else cells)


def found(answers: KnownAnswers) -> dict[str, tuple[object, object, bool | None]]:
    return {row.answer: (row.model, row.found, row.within) for row in answers.rows}


@pytest.mark.parametrize("servers", [2, 3, 5, 8])
@pytest.mark.parametrize("name", [*MODELS, RANDOM])
def test_every_answer_is_found(tmp_path: Path, name: str, servers: int) -> None:
    answers = Measured(tmp_path, name, servers).answers()
    assert answers.all_within, [row for row in answers.rows if not row.within]
    assert answers.asked == len(answers.rows) == 13


def test_the_answers_of_the_original_s_shape(tmp_path: Path) -> None:
    rows = found(Measured(tmp_path, "ebs-2015-c4").answers())
    models = {answer: model for answer, (model, _, _) in rows.items()}
    assert models == {
        "one volume, sequential": 5.0,
        "one volume, random": 150.0,
        "raw, 1 \u00d7 5 volumes, sequential": 25.0,
        "raw, 1 \u00d7 5 volumes, sequential: limit": f"{VOLUMES} or {EBS_LINK}",
        "raw, 3 \u00d7 5 volumes, sequential": 62.5,
        "raw, 3 \u00d7 5 volumes, sequential: limit": f"{CLIENT_NETWORK}",
        "stripe, 3 \u00d7 5 volumes, sequential": 62.5,
        "stripe, 3 \u00d7 5 volumes, sequential: limit": f"{CLIENT_NETWORK}",
        "raw, growth from 1 to 3 servers": 2.5,
        "stripe, growth from 1 to 5 mirrors": pytest.approx(62.5 / 15),
        "stripe, growth from 1 to 3 servers": 2.5,
        "raw, 3 \u00d7 5 volumes, random": 2250.0,
        "stripe, 3 \u00d7 5 volumes, random": 2250.0,
    }
    assert rows["raw, 3 \u00d7 5 volumes, sequential: limit"][1] == CLIENT_NETWORK


def one_reader(run: Measured, copies: str, volumes: float, *, rotational: bool | None = False) -> Cell:
    """A cell of one sequential reader, who gets the rate of so many volumes."""
    cell = dataclasses.replace(
        run.cell("stripe", "sequential", 3, 1),
        legs_rotational=rotational,
        layout="mirror",
        mirrors=1,
        copies=copies,
        readers="one",
        buffered=True,
    )
    return dataclasses.replace(cell, mib_per_s=volumes * 5.0 * 1e6 / MIB)


def test_one_reader_gets_one_leg_of_a_rotating_raid1_and_all_of_an_offset_mirror(tmp_path: Path) -> None:
    run = Measured(tmp_path, "ebs-2015-c4")
    told = one_reader(run, "raid1-rotational", 1.03, rotational=True)
    rows = found(run.answers([*run.cells, told, one_reader(run, "o3", 2.8)]))
    assert rows["one reader of a mirror, raid1-rotational"] == (5.0, pytest.approx(5.15), True)
    assert rows["one reader of a mirror, o3"] == (15.0, pytest.approx(14.0), True)
    # What a reader gets who waits for 93 MiB to be read ahead.
    rows = found(run.answers([*run.cells, one_reader(run, "o3", 1.04), one_reader(run, "n3", 1.0)]))
    assert rows["one reader of a mirror, o3"][2] is False
    assert "one reader of a mirror, n3" not in rows
    # A RAID-1 of other legs goes from leg to leg, as far as is read ahead; older runs do not tell what its legs were.
    for rotational in (False, None):
        assert run.answers([*run.cells, one_reader(run, "raid1", 1.0, rotational=rotational)]).asked == 13


def test_another_model_stops_elsewhere(tmp_path: Path) -> None:
    rows = found(Measured(tmp_path, "narrow-ebs-link").answers())
    assert rows["raw, 1 \u00d7 5 volumes, sequential"][0] == 20.0
    assert rows["raw, 3 \u00d7 5 volumes, sequential: limit"] == (EBS_LINK, EBS_LINK, True)
    assert rows["stripe, growth from 1 to 3 servers"][0] == pytest.approx(3.0)


@pytest.mark.parametrize("measured", MODELS)
def test_another_model_s_answers_are_not_found(tmp_path: Path, measured: str) -> None:
    (other,) = {*MODELS} - {measured}
    cells = Measured(tmp_path / "measured", measured).cells
    answers = Measured(tmp_path / "other", other).answers(cells)
    assert answers.outside >= 9, answers.rows


def test_a_rate_that_is_off_and_a_busy_client_are_seen(tmp_path: Path) -> None:
    run = Measured(tmp_path, "ebs-2015-c4")
    slow = [dataclasses.replace(cell, mib_per_s=(cell.mib_per_s or 0) * 0.8) for cell in run.cells]
    assert found(run.answers(slow))["one volume, sequential"][2] is False
    busy = [
        dataclasses.replace(cell, evidence=dataclasses.replace(cell.evidence, client_cpu_busy_ratio=0.97))
        for cell in run.cells
    ]
    assert found(run.answers(busy))["stripe, 3 \u00d7 5 volumes, sequential: limit"][1:] == (CLIENT_CPU, False)
    unknown = [
        dataclasses.replace(cell, evidence=dataclasses.replace(cell.evidence, client_cpu_busy_ratio=None))
        for cell in run.cells
    ]
    assert found(run.answers(unknown))["stripe, 3 \u00d7 5 volumes, sequential: limit"][1:] == (None, None)


def test_what_was_not_run_is_said_and_is_no_answer(tmp_path: Path) -> None:
    run = Measured(tmp_path, "ebs-2015-c4")
    answers = run.answers([cell for cell in run.cells if cell.layout == "raw" and cell.pattern == "sequential"])
    rows = found(answers)
    assert rows["one volume, random"][1:] == (NOT_RUN, None)
    assert rows["stripe, growth with mirrors"][1:] == (NOT_RUN, None)
    assert rows["one volume, sequential"][2] is True
    assert not answers.all_within
    failed = [dataclasses.replace(cell, mib_per_s=None, iops=None) for cell in run.cells]
    assert {row.found for row in run.answers(failed).rows} == {NOT_RUN}


def test_a_run_s_records_give_them_and_its_page_shows_them(tmp_path: Path) -> None:
    made = ModelRun(model=model_of("ebs-2015-c4").to_dict())
    for layout in ("raw", "stripe"):
        for servers, volumes in ((1, 5), (2, 5), (3, 1), (3, 5)):
            made.cell(layout, servers, volumes)
        made.cell(layout, 3, 5, pattern="random")
    for pattern in ("sequential", "random"):
        made.cell("raw", 1, 1, pattern=pattern)
    run = open_run(made.write(tmp_path))
    summary = summarize(run)
    assert summary.known_answers is not None
    assert summary.known_answers.all_within, summary.known_answers.rows
    (section,) = [each for each in page(run.manifest, summary).sections if each.title == "Known answers"]
    (table,) = section.blocks
    assert isinstance(table, Table)
    assert list(table.rows[0])[:2] == ["one volume, sequential", "5"]
    (run.path / "service-model.json").unlink()
    assert summarize(open_run(run.path)).known_answers is None


def test_what_is_not_a_read_past_the_caches_by_many_does_not_count(tmp_path: Path) -> None:
    run = Measured(tmp_path, "ebs-2015-c4")
    widest = next(cell for cell in run.cells if cell.cell == "stripe-3x5-sequential")
    others = [
        dataclasses.replace(widest, operation="write", mib_per_s=1.0),
        dataclasses.replace(widest, readers="one", mib_per_s=1.0),
        dataclasses.replace(widest, layout="mirror", mib_per_s=1.0),
    ]
    assert run.answers([*others, *run.cells]) == run.answers()


def test_a_type_without_limits_has_no_answer(tmp_path: Path) -> None:
    run = Measured(tmp_path, "ebs-2015-c4")
    run.rates = Rates.of(run.model, "m5.large", "m5.large", "io1")
    answers = run.answers()
    assert {row.model for row in answers.rows} == {None}
    assert answers.within == 0
