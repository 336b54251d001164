"""`fab results`: the runs listed, asked in SQL and exported, whatever state they are in."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from lab.paths import PROJECT
from report import results
from report.build import build_report
from report.database import EXPORTED, TABLES, VERSION, connect, export
from report.histogram import Histogram
from report.runs import RunError, list_runs
from tests.report.run_builder import RunBuilder


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results with a whole run and its report, one without, and a damaged one."""
    root = tmp_path_factory.mktemp("results")
    build_report(RunBuilder().write(root, "2026-11-23T103000Z"))
    RunBuilder(rehearsal=False, seed=8).write(root, "2026-11-23T113000Z")
    damaged = RunBuilder(seed=9).write(root, "2026-11-23T123000Z")
    (damaged / "manifest.json").write_text('{"schema": 1, "exper')
    return root


def asked(root: Path, query: str) -> list[tuple[object, ...]]:
    with connect(list_runs(root)) as database:
        return database.sql(query).fetchall()


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("there_are_runs", [True, False])
def test_every_table_has_the_documented_columns(root: Path, tmp_path: Path, table: str, there_are_runs: bool) -> None:
    described = asked(root if there_are_runs else tmp_path, f"DESCRIBE {table}")
    assert [row[:2] for row in described] == [(field.name, field.type) for field in TABLES[table]]


def test_the_document_lists_every_column() -> None:
    words = (PROJECT / "docs/results-schema.md").read_text()
    assert f"version {VERSION}" in words
    for table, fields in TABLES.items():
        _, _, section = words.partition(f"\n## {table}\n")
        section = section.partition("\n## ")[0]
        rows = [line for line in section.splitlines() if line.startswith("| ")][2:]
        assert rows == [f"| {each.name} | {each.type} | {each.meaning} |" for each in fields]


def test_percentiles_are_those_of_the_report(root: Path) -> None:
    run = root / "md-raid/md-raid.lab/2026-11-23T103000Z"
    lines = [json.loads(line) for line in (run / "raw/worker.ndjson").read_text().splitlines()]
    expected = {}
    for line in lines:
        if line["kind"] == "interval":
            of = Histogram.from_json(line["latency_ns"])
            found = [of.percentile_ns(percent) for percent in (50, 95, 99, 99.9, 100)]
            expected[line["cell"], line["host"], line["second"]] = [None if ns is None else ns / 1000 for ns in found]
    rows = asked(
        root,
        "SELECT cell, host, second, latency_p50_us, latency_p95_us, latency_p99_us, latency_p99_9_us, latency_max_us "
        "FROM intervals WHERE rehearsal",
    )
    assert {row[:3]: list(row[3:]) for row in rows} == expected


def test_a_second_without_operations_has_no_percentiles(tmp_path: Path) -> None:
    builder = RunBuilder()
    line = next(each for each in builder.streams["worker"] if each["kind"] == "interval")
    line.update(ops=0, bytes=0, errors={}, latency_ns={"count": 0, "sum": 0, "min": None, "max": None, "buckets": []})
    builder.write(tmp_path)
    query = "SELECT errors, latency_p50_us, latency_max_us FROM intervals WHERE ops = 0"
    assert set(asked(tmp_path, query)) == {(0, None, None)}


def test_damaged_lines_hide_nothing_else(tmp_path: Path) -> None:
    builder = RunBuilder()
    path = builder.write(tmp_path)
    whole = sum(each["kind"] == "interval" for each in builder.streams["worker"])
    with (path / "raw/worker.ndjson").open("ab") as binary:
        binary.write(b'{"kind": "\xff\xfe"}\n' + b"[" * 100_000 + b"\n" + b'{"a":' * 100_000 + b"\n")
    with (path / "raw/worker.ndjson").open("a") as file:
        file.write('{"kind": "interval", "cell": "x", "host": "client", "ops": "many"}\n[]\n{"kind": "int')
    ((seen,),) = asked(tmp_path, "SELECT count(*) FROM intervals WHERE ops IS NOT NULL")
    assert seen == whole


def test_a_folder_in_the_place_of_a_stream_hides_nothing_else(tmp_path: Path) -> None:
    run = RunBuilder(seconds=2).write(tmp_path)
    (run / "raw" / "extra.ndjson").mkdir()
    (run / "raw" / "host.ndjson").unlink()
    (run / "raw" / "host.ndjson").mkdir()
    assert asked(tmp_path, "SELECT count(*) FROM hosts") == [(0,)]
    assert {stream for (stream,) in asked(tmp_path, "SELECT DISTINCT stream FROM records")} >= {"cells", "worker"}


def test_a_damaged_run_is_listed_as_such_and_breaks_nothing(
    root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert results.main(["--results", str(root)]) == 0
    lines = capsys.readouterr().out.splitlines()
    (damaged,) = [line for line in lines if "123000Z" in line]
    assert "damaged" in damaged
    assert sum("complete" in line for line in lines) == 2
    ((name, damage),) = asked(root, "SELECT run, damage FROM runs WHERE damage IS NOT NULL")
    assert str(name).endswith("123000Z")
    assert "manifest.json" in str(damage)
    assert asked(root, "SELECT count(DISTINCT run) FROM intervals") == [(2,)]


def test_rows_of_a_rehearsal_say_so(root: Path) -> None:
    assert asked(root, "SELECT DISTINCT run LIKE '%.lab/%' = rehearsal FROM records") == [(True,)]


def test_claims_have_the_verdicts_of_the_page(root: Path) -> None:
    rows = asked(root, "SELECT claim, verdict, detail FROM claims ORDER BY claim")
    kept = json.loads((root / "md-raid/md-raid.lab/2026-11-23T103000Z/verdicts.json").read_text())["verdicts"]
    assert rows == sorted((each["claim"], each["verdict"], each["detail"]) for each in kept)


def test_a_wrong_query_is_one_line(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert results.main(["--results", str(root), "--sql", "SELECT nothing FROM intervals"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("report: --sql: Binder Error")
    assert said.count("\n") == 1
    for nothing in ("", " ", ";", "-- nothing"):  # such as a variable that is not set
        assert results.main(["--results", str(root), "--sql", nothing]) == 1
        assert capsys.readouterr().err == 'report: --sql: no query; give one, such as "FROM cells"\n'


def test_answers_for_scripts(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    query = "SELECT cell, NULL AS gap, 0.5 AS half FROM cells WHERE rehearsal ORDER BY cell LIMIT 1"
    for kind in ("csv", "json"):
        assert results.main(["--results", str(root), "--sql", query, "--format", kind]) == 0
    head, row, document = capsys.readouterr().out.splitlines()
    assert (head, row.split(",")[1:]) == ("cell,gap,half", ["", "0.5"])
    assert json.loads(document)["gap"] is None


def no_constant(word: str) -> None:
    raise AssertionError(f"{word} is no JSON")


def test_what_is_no_number_is_null_in_json(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    query = (
        "SELECT sum(bytes) / sum(ops * 0) AS a, 'nan'::DOUBLE AS b, {'k': '-inf'::FLOAT} AS c, "
        "['inf'::DOUBLE, 1.5] AS d, map([1], ['nan'::DOUBLE]) AS e, 0.25::DECIMAL(4, 2) AS f, "
        "sum(ops)::HUGEINT * 0 AS g, true AS h, TIMESTAMP '2026-11-23 10:30:00' AS i, 'NaN' AS j FROM intervals"
    )
    assert results.main(["--results", str(root), "--sql", query, "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out, parse_constant=no_constant) == {
        "a": None,
        "b": None,
        "c": {"k": None},
        "d": [None, 1.5],
        "e": {"1": None},
        "f": 0.25,
        "g": 0,
        "h": True,
        "i": "2026-11-23 10:30:00",
        "j": "NaN",
    }


def test_two_columns_of_one_name_are_no_json_object(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert results.main(["--results", str(root), "--sql", "SELECT 1 AS a, 2 AS a", "--format", "json"]) == 1
    assert capsys.readouterr().err == "report: --sql: two columns are called a; give each a name of its own (AS)\n"


def test_an_answer_that_python_can_not_hold_is_one_line(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert results.main(["--results", str(root), "--sql", "SELECT INTERVAL 99999999 YEARS"]) == 1
    assert capsys.readouterr().err == "report: --sql: Python int too large to convert to C int\n"


@pytest.mark.parametrize("kind", ["json", "csv"])
def test_whoever_reads_may_stop_reading(tmp_path: Path, kind: str) -> None:
    words = [sys.executable, "-m", "report.results", "--results", str(tmp_path), "--format", kind]
    with subprocess.Popen(
        [*words, "--sql", "FROM range(300000)"], cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(10)
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0


@pytest.mark.parametrize("kind", ["csv", "json", "parquet"])
def test_what_is_no_number_is_missing_in_an_export(root: Path, tmp_path: Path, kind: str) -> None:
    with connect(list_runs(root)) as database:
        database.execute(
            "CREATE TABLE stranger AS SELECT * REPLACE (CASE second % 3 WHEN 0 THEN 'nan' WHEN 1 THEN 'inf' "
            "ELSE '-inf' END::DOUBLE AS t_start_unix_s) FROM intervals"
        )
        database.execute("DROP VIEW intervals; CREATE VIEW intervals AS FROM stranger")
        export(database, kind, tmp_path / "out")
    file = tmp_path / "out" / f"intervals.{kind}"
    seen = duckdb.connect().execute(f"SELECT DISTINCT t_start_unix_s FROM '{file}'").fetchall()
    assert seen == [(None,)]
    if kind == "json":
        for line in file.read_text().splitlines():
            json.loads(line, parse_constant=no_constant)


@pytest.mark.parametrize("kind", ["csv", "json", "parquet"])
def test_an_export_has_every_row(root: Path, tmp_path: Path, kind: str) -> None:
    to = tmp_path / "it's" / "out"
    with connect(list_runs(root)) as database:
        files = export(database, kind, to)
        counts = {name: database.sql(f"SELECT count(*) FROM {name}").fetchall() for name in EXPORTED}
        assert {file.name for file in files} == {"schema.json", *(f"{name}.{kind}" for name in EXPORTED)}
    for name in EXPORTED:
        file = str(to / f"{name}.{kind}").replace("'", "''")
        assert duckdb.connect().execute(f"SELECT count(*) FROM '{file}'").fetchall() == counts[name]
    assert json.loads((to / "schema.json").read_text())["schema"] == VERSION
    assert [path.name for path in to.parent.iterdir()] == ["out"], "nothing half-made beside it"


def test_missing_is_an_empty_field_and_never_zero(root: Path, tmp_path: Path) -> None:
    with connect(list_runs(root)) as database:
        export(database, "csv", tmp_path / "out")
    rows = list(csv.DictReader(io.StringIO((tmp_path / "out/runs.csv").read_text())))
    (damaged,) = [row for row in rows if row["damage"]]
    assert damaged["status"] == damaged["rehearsal"] == ""


def test_an_export_never_writes_over_anything(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine").write_text("mine")
    assert results.main(["--results", str(root), "--export", str(tmp_path)]) == 1
    assert "not an empty directory" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


@pytest.mark.parametrize(("option", "allowed"), [("--sql", "table, csv, json"), ("--export", "csv, json, parquet")])
def test_a_wrong_format_says_what_is_allowed(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], option: str, allowed: str
) -> None:
    assert results.main(["--results", str(root), option, str(tmp_path / "new"), "--format", "xlsx"]) == 1
    assert f"--format xlsx: allowed are {allowed}" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


def test_an_export_that_fails_leaves_nothing(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with connect(list_runs(root)) as database:
        database.execute("DROP VIEW hosts")
        with pytest.raises((RunError, duckdb.Error)):
            export(database, "csv", tmp_path / "new")
    assert list(tmp_path.iterdir()) == []


def test_no_run_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert results.main(["--results", str(tmp_path / "none")]) == 0
    assert "no run is there yet" in capsys.readouterr().out
    assert results.main(["--results", str(tmp_path / "none"), "--sql", "SELECT count(*) FROM records"]) == 0


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (
            ["--sql", "SELECT '\udcfc'"],
            "--sql: it has bytes that are not UTF-8; write it in UTF-8, in a locale that has it",
        ),
        (["--format", "csv"], "--format csv: it is of --sql or --export; give one of them"),
        (["--sql", "FROM cells", "--export", "new"], "--sql and --export: give one of them"),
    ],
)
def test_what_would_go_unread_is_refused(
    words: list[str], shown: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert results.main(["--results", str(tmp_path), *words]) == 1
    assert capsys.readouterr() == ("", f"report: {shown}\n")
