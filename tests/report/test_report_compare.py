"""Comparing runs: intervals with known coverage, verdicts with known answers, one line for what can't be compared."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from report import compare as command
from report.compare import BETTER, SAME, TOO_NOISY, WORSE, Series, compare, gravest, read_series, verdict_of
from report.mean_rate import Ratio, mean_rate, mean_ratio, ratio_of_means
from report.runs import open_run
from tests.report.efs_run_builder import EfsRunBuilder
from tests.report.run_builder import RunBuilder


def alike(
    generator: np.random.Generator, seconds: int, mean: float, deviation: float, correlation: float, count: int
) -> list[list[float]]:
    """So many AR(1) series: each second keeps `correlation` of what the last one was off by."""
    new = generator.normal(0, deviation * math.sqrt(1 - correlation**2), (count, seconds))
    off = generator.normal(0, deviation, count)
    series = np.empty((count, seconds))
    for second in range(seconds):
        series[:, second] = mean + off
        off = correlation * off + new[:, second]
    found: list[list[float]] = series.tolist()
    return found


def pairs(
    count: int, seconds: int, correlation: float, ratio: float = 1.0
) -> Iterator[tuple[list[float], list[float]]]:
    generator = np.random.default_rng(seconds * 1000 + round(correlation * 100))
    base, new = (alike(generator, seconds, mean, 100, correlation, count) for mean in (1000, 1000 * ratio))
    return zip(base, new, strict=True)


def ratio_of(base: Sequence[float], new: Sequence[float], confidence: float = 0.95) -> Ratio:
    means = mean_rate(base), mean_rate(new)
    assert means[0] is not None
    assert means[1] is not None
    return ratio_of_means(means[0], means[1], confidence)


@pytest.mark.parametrize("correlation", [0.0, 0.3, 0.6])
@pytest.mark.parametrize("seconds", [8, 30, 120])
def test_an_interval_has_the_true_difference_as_often_as_it_says(seconds: int, correlation: float) -> None:
    intervals = [ratio_of(base, new) for base, new in pairs(600, seconds, correlation, ratio=1.1)]
    covered = sum(each.low <= 1.1 <= each.high for each in intervals) / len(intervals)
    assert 0.92 <= covered <= 0.99


def test_taken_as_independent_the_same_series_would_deceive() -> None:
    """The test above can fail: this is the interval that it guards against."""
    covered = 0
    for base, new in pairs(600, 120, 0.6):
        variance = (np.var(base, ddof=1) + np.var(new, ddof=1)) / 120
        covered += bool(abs(np.mean(new) - np.mean(base)) <= 1.96 * math.sqrt(variance))
    assert covered / 600 < 0.75


def test_the_more_seconds_are_alike_the_fewer_independent_ones_there_are() -> None:
    generator = np.random.default_rng(5)
    independent = []
    for correlation in (0.0, 0.8):
        found = [mean_rate(series) for series in alike(generator, 200, 1000, 100, correlation, 60)]
        independent.append(sum(each.independent_samples for each in found if each) / len(found))
    assert independent[0] > 140
    assert independent[1] < 60  # (1 - 0.8) / (1 + 0.8) of 200 is 22; the mean of a ratio is above the ratio of means


def test_equal_and_constant_series_are_the_same() -> None:
    assert ratio_of([500.0] * 10, [500.0] * 10) == Ratio(1.0, 1.0, 1.0)


@pytest.mark.parametrize("series", [[], [10.0] * 3, [0.0] * 30])
def test_too_few_seconds_or_nothing_done_is_no_mean(series: list[float]) -> None:
    assert mean_rate(series) is None


def test_an_interval_that_no_float_holds_is_wide_and_no_error() -> None:
    wide = ratio_of([1.0, 1e-9, 1.0, 1e6], [1.0, 2.0, 1e5, 1e-9])
    assert wide.low < 1 < wide.high < math.inf


def test_cells_as_measurements_of_one_difference() -> None:
    assert mean_ratio([1.1], 0.95) is None
    found = mean_ratio([1.08, 1.1, 1.12, 1.1], 0.95)
    assert found is not None
    assert found.low < 1.1 < found.high
    assert found.high - found.low < 0.06


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [(0.96, 1.04, SAME), (1.001, 1.04, SAME), (1.01, 1.2, BETTER), (0.8, 0.99, WORSE), (0.9, 1.01, TOO_NOISY)],
)
def test_the_verdict_of_an_interval(low: float, high: float, verdict: str) -> None:
    assert verdict_of(Ratio(math.sqrt(low * high), low, high), 0.05) == verdict


def test_a_loss_is_not_hidden_by_a_gain() -> None:
    assert gravest([SAME, BETTER, WORSE, TOO_NOISY]) == WORSE
    assert gravest([TOO_NOISY, BETTER]) == BETTER
    assert gravest([SAME, TOO_NOISY]) == TOO_NOISY


def cells(seed: int, ratios: Sequence[float], seconds: int = 60) -> dict[str, Series]:
    generator = np.random.default_rng(seed)
    return {
        f"cell-{n}": Series(alike(generator, seconds, 1000 * ratio, 40, 0.4, 1)[0], {}, None)
        for n, ratio in enumerate(ratios)
    }


@pytest.mark.parametrize(
    ("ratios", "verdict"), [([1] * 20, SAME), ([1.2] * 20, BETTER), ([0.8] * 20, WORSE), ([1] * 19 + [0.7], WORSE)]
)
def test_the_verdict_of_many_cells(ratios: list[float], verdict: str) -> None:
    found = compare(cells(1, [1] * 20), cells(2, ratios))
    assert found is not None
    assert found.verdict == verdict


def test_of_equal_runs_hardly_one_in_twenty_differs() -> None:
    differs = 0
    for seed in range(100):
        found = compare(cells(2 * seed, [1] * 20, 30), cells(2 * seed + 1, [1] * 20, 30))
        assert found is not None
        differs += found.verdict in (BETTER, WORSE)
    assert differs <= 10


def test_short_cells_tell_together_what_none_tells_alone() -> None:
    found = compare(cells(1, [1] * 24, 5), cells(2, [1.2] * 24, 5))
    assert found is not None
    assert sum(cell.verdict == TOO_NOISY for cell in found.cells) > 20
    assert found.verdict == found.all_cells_verdict == BETTER


def test_what_is_not_compared_is_said() -> None:
    base = cells(1, [1] * 5)
    new = cells(2, [1] * 5)
    del new["cell-0"]
    new["cell-1"] = Series([1.0] * 60, {}, "the client went away")
    new["cell-2"] = Series(new["cell-2"].rates, {"depth": 4}, None)
    base["cell-2"] = Series(base["cell-2"].rates, {"depth": 8}, None)
    base["cell-3"] = Series([1.0, 2.0], {}, None)
    found = compare(base, new)
    assert found is not None
    assert [cell.cell for cell in found.cells] == ["cell-4"]
    assert found.all_cells is None
    assert found.left_out == [
        "cell-0: in one run only",
        "cell-1: the client went away",
        "cell-2: not the same measurement, depth 8 and 4",
        "cell-3: 2 whole seconds, 4 are needed",
    ]
    assert compare(base, {}) is None


def write(results: Path, name: str, *, factor: float = 1.0, seed: int = 1, rehearsal: bool = True) -> Path:
    """An md-raid run whose workers' seconds are made `factor` times as fast."""
    builder = RunBuilder(rehearsal=rehearsal, seconds=21, seed=seed)
    for record in builder.streams["worker"]:
        if record["kind"] == "interval":
            record["ops"] = round(record["ops"] * factor)
    return builder.write(results, name)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("results")
    for name, factor, seed in (("2026-11-23T103000Z", 1.0, 1), ("2026-11-24T103000Z", 1.0, 2), ("faster", 1.5, 3)):
        write(folder if name != "faster" else folder / "elsewhere", name, factor=factor, seed=seed)
    EfsRunBuilder().write(folder)
    return folder


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = command.main(list(arguments))
    out, err = capsys.readouterr()
    return code, out, err


def test_runs_by_directory_by_stack_and_by_name(capsys: pytest.CaptureFixture[str], results: Path) -> None:
    older = str(results / "md-raid" / "md-raid.lab" / "2026-11-23T103000Z")
    code, out, err = run(capsys, older, "md-raid.lab", "--results", str(results))
    assert (code, err) == (0, "")
    assert "md-raid/md-raid.lab/2026-11-24T103000Z (rehearsal) against md-raid/md-raid.lab/2026-11-23T103000Z" in out
    assert out.rstrip().endswith("2026-11-24T103000Z: same")
    by_name = run(capsys, "md-raid/md-raid.lab/2026-11-23T103000Z", "md-raid.lab", "--results", str(results))
    assert by_name == (code, out, err)


def spoil_seconds(path: Path) -> None:
    """Each cell's seconds go up and down for long, and every other cell is faster: neither a gain nor a loss."""
    slow_and_fast = (0.2, 1.0, 1.8)
    factors: dict[str, float] = {}
    lines = []
    for line in (path / "raw" / "worker.ndjson").read_text().splitlines():
        record = json.loads(line)
        if record["kind"] == "interval":
            of_cell = factors.setdefault(record["cell"], 0.8 if len(factors) % 2 else 1.25)
            factor = of_cell * slow_and_fast[record["second"] // 7 % 3]
            record["ops"] = round(record["ops"] * factor)
        lines.append(json.dumps(record) + "\n")
    (path / "raw" / "worker.ndjson").write_text("".join(lines))


def test_each_verdict_has_its_exit_code(capsys: pytest.CaptureFixture[str], results: Path, tmp_path: Path) -> None:
    faster = str(results / "elsewhere" / "md-raid" / "md-raid.lab" / "faster")
    arguments = ("--results", str(results))
    assert run(capsys, "md-raid.lab", faster, *arguments)[0] == 3
    assert run(capsys, faster, "md-raid.lab", *arguments)[0] == 4
    older = "md-raid/md-raid.lab/2026-11-23T103000Z"
    code, out, _ = run(capsys, "md-raid.lab", older, faster, *arguments)
    assert code == 3
    assert out.count(" against ") == 2
    noisy = write(tmp_path, "2026-11-23T103000Z", seed=4)
    spoil_seconds(noisy)
    code, out, _ = run(capsys, "md-raid.lab", str(noisy), *arguments)
    assert (code, out.rstrip().rpartition(": ")[2]) == (5, TOO_NOISY)


@pytest.mark.parametrize(
    ("base", "new", "says"),
    [
        ("md-raid.lab", "nowhere", "nowhere: neither a run's directory nor a stack with a run"),
        ("", "md-raid.lab", "neither a run's directory nor a stack"),
        ("md-raid.lab", "md-raid.lab", "compared with itself"),
        ("md-raid.lab", "efs-iops.lab", "of another experiment"),
        ("a" * 300, "md-raid.lab", "File name too long; give a run's directory or a stack"),
    ],
)
def test_what_can_t_be_compared_is_one_line(
    capsys: pytest.CaptureFixture[str], results: Path, base: str, new: str, says: str
) -> None:
    code, out, err = run(capsys, base, new, "--results", str(results))
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert says in err


def test_a_percentage_that_is_none_is_one_line(capsys: pytest.CaptureFixture[str], results: Path) -> None:
    for text in ("abc", "nan", "", "5%"):
        with pytest.raises(SystemExit):
            run(capsys, "md-raid.lab", "md-raid.lab", f"--margin={text}")
        assert f"--margin: {text}: give a number above 0 and below 100" in capsys.readouterr().err


def test_a_run_without_seconds_and_a_damaged_one(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    whole = RunBuilder(seconds=8).write(tmp_path)
    empty = RunBuilder(seconds=1).write(tmp_path, "2026-11-25T000000Z")
    (empty / "raw" / "worker.ndjson").unlink()
    code, _, err = run(capsys, str(whole), str(empty))
    assert (code, err) == (2, f"report: {empty}: has no per-second records of a worker\n")
    (empty / "manifest.json").write_text("{")
    code, _, err = run(capsys, str(whole), str(empty))
    assert (code, err) == (2, f"report: {empty}: damaged: manifest.json is not whole JSON\n")


def test_hosts_are_added_and_an_earlier_attempt_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "run"
    (path / "raw").mkdir(parents=True)
    (path / "manifest.json").write_text(json.dumps(RunBuilder(seconds=1).manifest))
    lines = []
    for host, offset, seconds in (("a", 0.0, (0, 1, 2)), ("b", 7.0, (0, 1, 0, 1, 2, 3))):
        for n, second in enumerate(seconds):
            start = 100.0 + n + offset
            ops = 10 * (second + 1) if host == "a" or n > 1 else 7777
            record = {"cell": "c", "host": host, "kind": "interval", "second": second, "ops": ops}
            lines.append({**record, "t_start_unix_s": start, "t_end_unix_s": start + (0.4 if second == 3 else 1)})
    text = "".join(json.dumps(line) + "\n" for line in lines) + '{"cell": "c", "host": 3}\n{"half'
    (path / "raw" / "worker.ndjson").write_text(text)
    found = open_run(path)
    assert read_series(found) == {"c": Series([20.0, 40.0, 60.0], {}, None)}
    assert any("the last line is half-written" in problem for problem in found.problems)


def test_both_experiments_have_series(results: Path) -> None:
    for experiment in ("md-raid", "efs-iops"):
        (path, *_) = sorted((results / experiment).glob("*/*"))
        series = read_series(open_run(path))
        assert series
        assert all(len(each.rates) >= 2 for each in series.values())
