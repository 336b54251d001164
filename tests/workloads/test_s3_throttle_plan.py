"""s3-throttle's plans: read strictly; the cells, their amounts and the specs that follow from them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from workloads.errors import WorkloadError
from workloads.s3_throttle import plan as plans
from workloads.s3_throttle.plan import Cell, Cycle, cells, least_seconds, read
from workloads.s3_throttle.run import Measured, amount, cap
from workloads.s3_throttle.uploader.spec import Spec, configuration, environment, sync_command, throttle_arguments
from workloads.throttle.settings import parse_command_line

TEXT = """
name = "test"
seconds = 4
most_seconds = 40
precision = 0.03
object_bytes = 131072
probe_bytes = 1048576
closed_loop = [0.05, 0.95]
max_bandwidth = [0.5]
tc = [0.25]
[[duty_cycle]]
stop_s = 0.4
run_s = 0.6
"""
FREE_BYTES_PER_S = 2_000_000.0


def spec(**changes: object) -> Spec:
    known: dict[str, object] = {
        "aws": "/env/bin/aws",
        "pool": "/pool",
        "pool_objects": 8,
        "folder": "/cell",
        "objects": 8,
        "bucket": "b",
        "prefix": "stack/run/cell/",
        "region": "eu-central-1",
        "endpoint": None,
        "address": "10.20.1.10",
        "limit_s": 60.0,
    }
    return Spec(**{**known, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize("path", sorted(plans.Plan.folder().glob("*.toml")), ids=lambda path: path.stem)
def test_the_plans_can_be_read_and_judge_the_claim(path: Path) -> None:
    plan = plans.load(path.stem)
    assert sum(each.send_buffer_bytes is None for each in plan.duty_cycles) >= 5  # what the claim asks for
    assert min(plan.closed_loop) <= 0.05
    assert max(plan.closed_loop) >= 0.95
    assert Cycle(0.4, 0.6) in plan.duty_cycles  # the original's
    assert any((each.stop_s, each.run_s) == (0.4, 0.6) and each.send_buffer_bytes for each in plan.duty_cycles)


def test_the_closed_loops_send_buffer_is_in_its_cells() -> None:
    text = TEXT.replace("tc = [0.25]", "tc = [0.25]\nclosed_loop_send_buffer_bytes = 16384")
    cell = next(each for each in cells(read(text, "test")) if each.method == "closed-loop")
    assert cell.name == "closed-loop-0.05-wmem-16384"
    assert cap(cell, 1_000, None) == {"rate_bytes_per_s": 1_000, "send_buffer_bytes": 16384}


def test_free_comes_first_and_last() -> None:
    names = [cell.name for cell in cells(read(TEXT, "test"))]
    assert names == [
        "free",
        "duty-cycle-0.4-0.6",
        "closed-loop-0.05",
        "closed-loop-0.95",
        "max-bandwidth-0.5",
        "tc-0.25",
        "free-again",
    ]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (("seconds = 4", "seconds = 1"), "test: seconds is 1; expected a number of seconds from 2 to 86400"),
        (
            ("[0.05, 0.95]", "[0.05, 1]"),
            "test: closed_loop[1] is 1; expected a number from 0.01 to 0.99",
        ),
        (
            ("[0.05, 0.95]", "[0.05, 0.05]"),
            "test: closed_loop[1] is 0.05, as is closed_loop[0]; each must be different",
        ),
        (("[0.05, 0.95]", "0.5"), "test: closed_loop is 0.5; expected a list of numbers"),
        (("[0.05, 0.95]", "[true]"), "test: closed_loop[0] is true; expected a number"),
        (
            ("probe_bytes = 1048576", "probe_bytes = 1048577"),
            "test: probe_bytes is 1048577; expected a multiple of object_bytes",
        ),
        (
            ("stop_s = 0.4", "stop_s = 20"),
            "test: duty_cycle[0].stop_s is 20; expected a number of seconds from 0.01 to 10",
        ),
        (("tc = [0.25]", "tcp = [0.25]"), "test: tcp is not a field; did you mean tc?"),
        (("precision = 0.03", "precision = 3"), "test: precision is 3; expected a number from 0.001 to 0.5"),
        (
            ("most_seconds = 40", "most_seconds = 20"),
            "test: most_seconds is 20.0; expected 22 at least, as duty-cycle-0.4-0.6 takes them",
        ),
        (
            ("run_s = 0.6", "run_s = 0.6\nsend_buffer_bytes = 1"),
            "test: duty_cycle[0].send_buffer_bytes is 1; expected",
        ),
        (("tc = [0.25]", "tc = []\nburst = 1"), "test: burst is not a field"),
    ],
)
def test_a_fault_is_one_line(change: tuple[str, str], expected: str) -> None:
    assert change[0] in TEXT
    with pytest.raises(WorkloadError) as error:
        read(TEXT.replace(*change), "test")
    assert str(error.value).startswith(expected)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("which", ["", "~no-such-user/plan.toml", "/", "p" * 300])
def test_a_path_that_is_no_plan_is_refused_in_one_line(which: str) -> None:
    """An empty one is a variable that is not set: it does not mean the short plan."""
    with pytest.raises(WorkloadError, match="no such plan") as error:
        plans.load(which)
    assert "\n" not in str(error.value)


def test_a_plan_is_shown_on_a_terminal_without_its_characters(tmp_path: Path) -> None:
    (tmp_path / "p.toml").write_text(TEXT.replace('"test"', '"f\u00fcr"'), encoding="utf-8")
    command = [sys.executable, "-m", "fabric", "s3-throttle.plan", "--plan", str(tmp_path / "p.toml")]
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    shown = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert "f\\xfcr: 7 syncs" in shown.stdout


def test_two_cells_alike_are_refused() -> None:
    cycle = "[[duty_cycle]]\nstop_s = 0.4\nrun_s = 0.6\n"
    with pytest.raises(WorkloadError, match=r'duty_cycle is \["duty-cycle-0.4-0.6"\]; expected cells that differ'):
        read(TEXT + cycle, "test")


def test_what_is_offered_lasts_for_the_longest_cell() -> None:
    plan = read(TEXT, "test")
    assert amount(plan, Cell("free", "free", 1.0), None) == (8, None)
    # 2 MB/s for 40 s and a quarter more, and what ten connections have in hand.
    assert amount(plan, Cell("again", "free", 1.0), FREE_BYTES_PER_S) == (10 + 763, None)
    assert amount(plan, Cell("loop", "closed-loop", 0.5), FREE_BYTES_PER_S) == (10 + 382, 1_000_000)
    assert amount(plan, Cell("slow", "closed-loop", 0.05), FREE_BYTES_PER_S) == (10 + 39, 100_000)
    assert amount(plan, Cell("cli", "max-bandwidth", 0.5), FREE_BYTES_PER_S) == (10 + 382, 977 * 1024)
    # A duty cycle may move as much as nothing held back.
    assert amount(plan, Cell("duty", "duty-cycle", 0.5, Cycle(0.5, 0.5)), FREE_BYTES_PER_S) == (10 + 763, 1_000_000)


def test_a_cell_takes_twenty_cycles_and_its_start() -> None:
    plan = read(TEXT, "test")
    assert least_seconds(plan, Cell("loop", "closed-loop", 0.5)) == 4 + 1
    assert least_seconds(plan, Cell("duty", "duty-cycle", 0.6, Cycle(0.4, 0.6))) == 20 + 2
    assert least_seconds(plan, Cell("duty", "duty-cycle", 0.5, Cycle(0.1, 0.1))) == 4 + 1


def test_what_is_sent_again_counts_under_tc_alone_which_drops_it_before_it_is_sent() -> None:
    tx, again = [5_000, 1_055_000 + 10 * 1514], [3, 13]
    assert spec().sent_once(tx, again) == [5_000, 1_055_000]
    assert spec(tc_bytes_per_s=1).sent_once(tx, again) == tx


def test_each_way_is_capped_by_its_own_field_alone() -> None:
    free = Measured(Cell("free", "free", 1.0), spec(), 1_000_000, None)
    free.result.final = {"sent_once_bytes": 1_050_000}
    ratio = free.payload_ratio
    assert ratio == pytest.approx(1 / 1.05)
    assert cap(Cell("free", "free", 1.0), None, None) == {}
    assert cap(Cell("c", "closed-loop", 0.5), 1_000, ratio) == {"rate_bytes_per_s": 1_000, "send_buffer_bytes": None}
    cycle = Cell("d", "duty-cycle", 0.6, Cycle(0.4, 0.6, 16384))
    assert cap(cycle, 1_000, ratio) == {"stop_s": 0.4, "run_s": 0.6, "send_buffer_bytes": 16384}
    assert cap(Cell("m", "max-bandwidth", 0.5), 2048, ratio) == {"max_bandwidth_kib_per_s": 2}
    # tc counts the headers that the free sync had: 5 % of what it moved.
    assert cap(Cell("t", "tc", 0.5), 1_000, ratio) == {"tc_bytes_per_s": 1_050}


def test_the_command_is_the_clis_and_the_throttle_holds_it(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    command = sync_command(spec(), Path("/cell"))
    assert command[:3] == ["/env/bin/aws", "s3", "sync"]
    assert command[-2:] == ["/cell/", "s3://b/stack/run/cell/"]
    assert throttle_arguments(spec(), report) is None
    assert throttle_arguments(spec(max_bandwidth_kib_per_s=1, tc_bytes_per_s=1), report) is None
    held = throttle_arguments(spec(rate_bytes_per_s=100_000), report)
    assert held == ["--report", str(report), "--rate", "100000 B/s"]
    cycle = throttle_arguments(spec(stop_s=0.4, run_s=0.6), report)
    assert cycle == ["--report", str(report), "--stop", "0.4", "--run", "0.6", "--from-first-byte"]
    for arguments in (held, cycle):
        assert parse_command_line([*arguments, "--", *command]).command == tuple(command)


def test_no_credentials_are_given_and_none_of_the_users_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAOFSOMEBODY")
    monkeypatch.setenv("AWS_PROFILE", "somebody")
    found = environment(spec(endpoint="http://198.51.100.1"), Path("/config"), Path("/counts"))
    assert {name: value for name, value in found.items() if name.startswith("AWS_")} == {
        "AWS_CONFIG_FILE": "/config",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        "AWS_ENDPOINT_URL_S3": "http://198.51.100.1",
    }
    assert "max_bandwidth" not in configuration(spec())
    assert "    max_bandwidth = 977KB/s\n" in configuration(spec(max_bandwidth_kib_per_s=977))


def test_a_spec_survives_the_way_to_the_host() -> None:
    sent = spec(rate_bytes_per_s=5, endpoint="http://198.51.100.1")
    assert Spec.from_json(sent.to_json()) == sent
