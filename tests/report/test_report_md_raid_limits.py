"""What limited a cell under a service model, for any number of servers; layouts, writes, and the figure of it all."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from report.claims import load_claims
from report.md_raid.experiment import page, summarize
from report.md_raid.figures import scaling_plot
from report.md_raid.schema import Cell, Summary
from report.md_raid.tables import layouts_answer, sweep_tables
from report.runs import open_run
from report.table import Table
from report.verdicts import judge
from tests.report.model_run import MODEL, ModelRun
from tests.report.run_builder import RunBuilder, volume_id

MB = 1_000_000


def summary_of(run: ModelRun, tmp_path: Path) -> Summary:
    return summarize(open_run(run.write(tmp_path)))


def cell(summary: Summary, name: str) -> Cell:
    return next(c for c in summary.cells if c.cell == name)


def sweep(servers: int) -> ModelRun:
    """Volumes of all servers and servers with all volumes, raw and as stripes."""
    run = ModelRun(servers)
    for layout in ("raw", "stripe"):
        for count in (1, 3, 5):
            run.cell(layout, servers, count)
        for some in range(1, servers):
            run.cell(layout, some, 5)
    run.cell("raw", 1, 1)
    run.cell("raw", 1, 3)
    run.cell("raw", servers, 1, pattern="random")
    run.cell("stripe", 1, 1, pattern="random")
    return run


@pytest.mark.parametrize("servers", [2, 3, 5, 8])
def test_each_limit_is_found_by_what_reached_it(servers: int, tmp_path: Path) -> None:
    """The made-up model: a volume 7 MB/s, a server's link 30 MB/s, a network 70 MB/s."""
    summary = summary_of(sweep(servers), tmp_path)
    limits = {each.cell: (each.limited_by, each.limited_by_hosts) for each in summary.cells}
    assert limits["raw-1x1-sequential"] == ("volumes", [])
    assert limits["raw-1x3-sequential"] == ("volumes", [])
    assert limits["raw-1x5-sequential"] == ("server EBS link", ["storage-1"])
    assert limits["stripe-1x5-sequential"] == ("server EBS link", ["storage-1"])
    # Of a server's random reads neither link sees much; its volumes have no operations left.
    assert limits[f"raw-{servers}x1-random"] == ("volumes", [])
    assert limits[f"raw-{servers}x1-sequential"] == ("volumes", [])
    of_all = ("server EBS link", ["storage-1", "storage-2"]) if servers == 2 else ("client network", ["client"])
    assert limits[f"raw-{servers}x5-sequential"] == limits[f"stripe-{servers}x5-sequential"] == of_all
    evidence = cell(summary, f"raw-{servers}x5-sequential").evidence
    together = min(70, 30 * servers)
    assert evidence.client_link_used_ratio == pytest.approx(together / 70, abs=0.02)
    assert evidence.storage_ebs_used_ratio_max == pytest.approx(together / servers / 30, abs=0.02)
    assert evidence.volume_used_ratio == pytest.approx(together / servers / 5 / 7, abs=0.02)


def test_growth_with_servers_and_with_mirrors_are_apart(tmp_path: Path) -> None:
    summary = summary_of(sweep(5), tmp_path)
    over_servers, over_mirrors = summary.scaling.stripe_servers_sequential, summary.scaling.stripe_sequential
    assert over_servers is not None
    assert over_mirrors is not None
    assert [(p.servers, p.disks) for p in over_servers.points] == [(1, 5), (2, 10), (3, 15), (4, 20), (5, 25)]
    assert [(p.servers, p.disks) for p in over_mirrors.points] == [(5, 5), (5, 15), (5, 25)]
    assert over_servers.points[1].efficiency == pytest.approx(1, abs=0.01)
    assert over_servers.network_limited
    costs = {(cost.servers, cost.disks) for cost in summary.scaling.md_cost}
    assert {(1, 5), (2, 10), (5, 5), (5, 15), (5, 25)} <= costs
    (table, _) = sweep_tables(summary)
    row = next(row for row in table.rows if row[:4] == ["stripe", "2", "5", "10"])
    assert row[-1] == "server EBS link (storage-1, storage-2)"


def test_the_figure_has_the_model_s_ceilings_and_what_limited_each_point(tmp_path: Path) -> None:
    summary = summary_of(sweep(3), tmp_path)
    assert summary.ceilings.volume_mib_per_s == pytest.approx(7 * MB / (1 << 20))
    assert summary.ceilings.volume_ops_per_s == 200
    chart = scaling_plot(summary)
    assert chart is not None
    values = [row for layer in chart.panels[0]["layer"] for row in layer["data"]["values"]]
    texts = {row["text"] for row in values if "text" in row}
    assert {"client network, 67", "EBS link of 1 server, 29"} <= texts
    limits = {row["cell"]: row["limit"] for row in values if "limit" in row}
    assert limits["raw-1x1-sequential"] == "limited by volumes"
    assert limits["raw-1x5-sequential"] == "limited by server EBS link"
    assert limits["stripe-3x5-sequential"] == "limited by client network"
    assert {"1\u00d71", "3\u00d75"} <= {row["label"] for row in values if "label" in row}
    assert "as the rehearsal's service model has them" in chart.caption


def test_a_busy_cpu_is_named_and_so_are_some_of_the_volumes(tmp_path: Path) -> None:
    run = ModelRun()
    run.cell("raw", 3, 3, rate=20 * MB, busy=0.99)
    run.cell("stripe", 3, 1, rate=7 * MB, shares=[1.0, 0.0, 0.0])
    summary = summary_of(run, tmp_path)
    assert cell(summary, "raw-3x3-sequential").limited_by == "client CPU"
    assert cell(summary, "stripe-3x1-sequential").limited_by == "1 of 3 volumes"


def test_a_client_without_samples_received_what_the_servers_sent(tmp_path: Path) -> None:
    run = sweep(3)
    run.streams["host"] = [sample for sample in run.streams["host"] if sample["host"] != "client"]
    summary = summary_of(run, tmp_path)
    assert cell(summary, "raw-3x5-sequential").limited_by == "client network"
    assert cell(summary, "raw-1x1-sequential").limited_by == "volumes"


def test_one_full_volume_among_half_full_ones_is_no_limit(tmp_path: Path) -> None:
    run = ModelRun()
    run.cell("raw", 3, 1, rate=13 * MB, shares=[0.5, 0.25, 0.25])
    assert cell(summary_of(run, tmp_path), "raw-3x1-sequential").limited_by is None


def test_without_a_known_rate_a_volume_that_is_always_busy_is_the_limit(tmp_path: Path) -> None:
    """As on AWS, whose volumes do less than is promised: by the servers' own counters, and not beside a full link."""
    run = ModelRun(model={**MODEL, "volume": [{**MODEL["volume"][0]}]})
    run.cell("raw", 1, 1)
    run.cell("raw", 3, 5)
    run.model = {**run.model, "volume": []}
    summary = summary_of(run, tmp_path)
    assert cell(summary, "raw-1x1-sequential").limited_by == "volumes"
    assert cell(summary, "raw-1x1-sequential").evidence.volume_busy_ratio == pytest.approx(1, abs=0.01)
    assert cell(summary, "raw-3x5-sequential").limited_by == "client network"
    assert summary.ceilings.volume_mib_per_s is None


def test_a_damaged_service_model_is_a_problem_and_no_limit(tmp_path: Path) -> None:
    run = ModelRun()
    run.cell("raw", 1, 1)
    path = run.write(tmp_path)
    for text, said in (
        ("{", "service-model.json can't be read"),
        ('{"name": "x", "scale": 0}', "scale must be above 0"),
        ('{"name": "x", "scale": 1, "instance": [3]}', "instance must be a list of objects"),
        (json.dumps({**MODEL, "volume": [{"type": "gp2", "bytes_per_s": -1}]}), "bytes_per_s must be above 0"),
    ):
        (path / "service-model.json").write_text(text)
        summary = summarize(open_run(path))
        assert any(said in problem for problem in summary.problems), text
        assert summary.ceilings.client_network_mib_per_s is None


def layouts_run(
    legs: int, of_layouts: list[tuple[str, list[float], float]], *, rotational: bool | None = False
) -> ModelRun:
    """Each layout's name, the share that each leg was read, and the rate in MB/s."""
    run = ModelRun(legs)
    for copies, shares, rate in of_layouts:
        moved = [round(100 * MB * share) for share in shares]
        run.cell(
            "mirror",
            legs,
            1,
            rate=rate * MB,
            shares=shares,
            cell=f"layout-{copies}-sequential-one",
            copies=copies,
            readers="one",
            buffered=True,
            legs_rotational=True if copies == "raid1-rotational" else rotational,
            leg_read_bytes={volume_id(server, 1): each for server, each in enumerate(moved, start=1)},
        )
    return run


OFFSET = ("o3", [0.34, 0.33, 0.33], 20.5)
ROTATING = [("raid1", [1.0, 0.0, 0.0], 7.0), ("n3", [1.0, 0.0, 0.0], 7.0), OFFSET]
IN_TURNS = [("raid1", [0.34, 0.33, 0.33], 21.0), ("raid1-rotational", [0.0, 1.0, 0.0], 7.0), OFFSET]


def judged_legs(summary: Summary) -> tuple[str, str]:
    (claim,) = [each for each in load_claims("md-raid", Summary) if each.id == "md-raid/offset-reads-all-legs"]
    verdict = judge(claim, summary, rehearsal=True)
    return verdict.verdict, verdict.detail if verdict.verdict != "holds" else ""


def test_a_raid1_that_goes_from_leg_to_leg_differs_from_what_was_published(tmp_path: Path) -> None:
    summary = summary_of(layouts_run(3, IN_TURNS), tmp_path)
    verdict, detail = judged_legs(summary)
    assert verdict == "differs"
    assert detail.endswith(
        "one sequential reader reads from 3 of 3 legs of a RAID-1, which do not rotate; from 1 where md is told that "
        "they rotate; and from 3 in the offset layout, 0.975 times as fast"
    )
    assert summary.layouts is not None
    assert layouts_answer(summary.layouts) == (
        "One sequential reader of a plain RAID-1 reads from 3 of 3 legs, which do not rotate; from 1 where md is told "
        "that they rotate; and from 3 in the offset layout, 0.97 times as fast."
    )


def test_how_many_legs_an_older_run_read_tells_nothing(tmp_path: Path) -> None:
    """Whether its RAID-1 was new, and whether its legs rotate, is not recorded."""
    assert judged_legs(summary_of(layouts_run(3, ROTATING, rotational=None), tmp_path))[0] == "not run"


def test_which_legs_a_layout_reads(tmp_path: Path) -> None:
    summary = summary_of(layouts_run(3, ROTATING, rotational=True), tmp_path)
    layouts = summary.layouts
    assert layouts is not None
    assert [(row.copies, row.legs_read) for row in layouts.rows] == [("raid1", 1), ("n3", 1), ("o3", 3)]
    assert layouts.offset_to_raid1_ratio == pytest.approx(20.5 / 7, rel=0.01)
    assert layouts_answer(layouts) == (
        "One sequential reader of a plain RAID-1 reads from 1 of 3 legs, which rotate; and from 3 in the offset "
        "layout, 2.9 times as fast."
    )
    assert judged_legs(summary) == ("holds", "")
    # They are of one mirror, and none of the sweep.
    assert summary.scaling.stripe_sequential is None
    assert not sweep_tables(summary)


@pytest.mark.parametrize(
    ("change", "matched"),
    [({}, True), ({"matched": False}, False), ({"sha256": "another"}, False), ({"server": None}, True)],
)
def test_what_was_written_is_on_each_server(change: dict[str, object], matched: bool, tmp_path: Path) -> None:
    run = ModelRun()
    name = run.cell("stripe", 3, 5, cell="write-3x5-sequential", operation="write", rate=20 * MB)
    for server in (1, 2, 3):
        record = {"cell": name, "server": f"storage-{server}", "bytes": 1 << 20, "sha256": "one", "matched": True}
        run.streams["writes"].append(record | (change if server == 3 else {}))
    summary = summary_of(run, tmp_path)
    (written,) = summary.writes
    assert (written.matched, written.servers_checked) == (matched, 2 if "server" in change else 3)
    assert written.checked_bytes == 1 << 20
    assert summary.scaling.stripe_sequential is None
    # Each server gets all that is written; so the client sends it three times.
    assert cell(summary, name).evidence.client_link_used_ratio == pytest.approx(20 / 70, abs=0.02)


def test_writes_that_were_not_read_back_are_not_known(tmp_path: Path) -> None:
    run = ModelRun()
    run.cell("stripe", 3, 5, cell="write-3x5-random", pattern="random", operation="write", rate=2 * MB)
    summary = summary_of(run, tmp_path)
    assert [written.matched for written in summary.writes] == [None]


def test_the_page_has_a_section_for_what_was_measured_alone(tmp_path: Path) -> None:
    run = layouts_run(3, IN_TURNS)
    path = run.write(tmp_path)
    opened = open_run(path)
    titles = {section.name: section for section in page(opened.manifest, summarize(opened)).sections}
    (table,) = titles["layouts"].blocks
    assert isinstance(table, Table)
    assert table.note.startswith("One sequential reader of a plain RAID-1 reads from 3 of 3 legs")
    assert "writes" not in titles
    older = open_run(RunBuilder(seconds=2).write(tmp_path / "older"))
    sections = {section.name for section in page(older.manifest, summarize(older)).sections}
    assert not {"layouts", "writes", "known-answers"} & sections


@pytest.mark.parametrize("servers", [2, 3, 5, 8])
def test_the_drill_has_a_phase_for_each_server_that_is_killed(servers: int, tmp_path: Path) -> None:
    run = ModelRun(servers)
    path = run.write(tmp_path)
    events = [{"t_unix_s": 5.0 + n, "event": "killed", "host": f"storage-{n}"} for n in range(1, servers)]
    lines = [{"t_unix_s": 5.0, "event": "reads-started"}, *events]
    (path / "raw" / "drill.ndjson").write_text("".join(json.dumps(line) + "\n" for line in lines))
    array = {
        "when": f"killed-{servers - 1}",
        "array": "md1",
        "level": "raid10",
        "t_unix_s": 30.0,
        "raid_devices": servers,
    }
    (path / "raw" / "arrays.ndjson").write_text(json.dumps({**array, "working": 1}) + "\n")
    drill = summarize(open_run(path)).drill
    assert drill is not None
    assert [phase.cell for phase in drill.phases] == ["drill-steady", *(f"drill-kill-{n}" for n in range(1, servers))]
    assert (drill.hosts_killed, drill.fewest_working_legs, drill.legs_per_array) == (servers - 1, 1, servers)


def test_a_cell_above_its_model_s_limits_is_a_problem_of_the_run(tmp_path: Path) -> None:
    """Then the hosts were held to no limits, and what was found again says nothing."""
    run = sweep(3)
    before = summary_of(run, tmp_path / "held").problems
    run.cell("raw", 1, 1, cell="raw-free", rate=7.9 * MB)  # 1.13 times
    run.cell("raw", 3, 5, cell="raw-free-too", rate=100 * MB)
    first, second = (each for each in summary_of(run, tmp_path / "free").problems if each not in before)
    assert not any("in force" in each for each in before)
    assert first.startswith(f"raw-free: {volume_id(1, 1)} at 1.13 times its rate in the service model: the limits were")
    assert second.startswith(
        "raw-free-too: the network of client at 1.43 times its rate in the service model, and 3 more"
    )
