"""A rehearsal beside another: what it said and how it ended, whatever becomes of its process."""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict
from pathlib import Path

import pytest

from lab import beside
from lab.outcomes import Outcome
from lab.stacks import rehearsable_experiments, rehearsal_settings
from tests.machine import wait_for

EXPERIMENTS = rehearsable_experiments()
SETTINGS = {each: rehearsal_settings(each) for each in EXPERIMENTS}
DONE = Outcome("s3-throttle", 3.0, "/results/1", None)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TIDEMARK_LAB_DIR", str(tmp_path / "lab"))
    return tmp_path


def rehearsing(monkeypatch: pytest.MonkeyPatch, script: str, *, verbose: bool = False) -> beside.Beside:
    """A process in the place of the rehearsal; `$4` is the folder that both share."""
    monkeypatch.setattr(beside, "REHEARSE", ("setpriv", "--pdeathsig", "TERM", "--", "bash", "-c", script, "rehearse"))
    return beside.Beside(["s3-throttle", "eip-region"], verbose=verbose)


def until_terminated(folder: Path) -> str:
    """A script that leaves a file when it has begun, and another when it was asked to end."""
    return f"trap 'touch {folder}/ended; exit' TERM; touch {folder}/ready; while true; do sleep 0.05; done"


def test_what_does_not_measure_this_machine_runs_beside_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beside, "room_for_two_regions", lambda: True)
    here, others = beside.split(SETTINGS)
    assert others == ["s3-throttle", "encrypted-backup", "eip-region"], "the longest first"
    assert "md-raid" in here
    assert sorted([*here, *others]) == sorted(EXPERIMENTS)
    assert beside.split({each: SETTINGS[each] for each in ("s3-throttle", "eip-region")}) == (
        ["s3-throttle", "eip-region"],
        [],
    ), "nothing else to run"
    monkeypatch.setattr(beside, "room_for_two_regions", lambda: False)
    assert beside.split(SETTINGS) == (list(EXPERIMENTS), [])


def test_its_lines_and_outcomes_are_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    monkeypatch.setenv("OUTCOMES", json.dumps([asdict(DONE)]))
    script = 'echo "$1 in $TIDEMARK_LAB_DIR"; echo "$OUTCOMES" > "$4/outcomes.json"; echo "a fault" >&2'
    running = rehearsing(monkeypatch, script, verbose=True)
    said: list[str] = []
    assert running.follow(said.append, ["eip-region"]) == ([DONE], True)
    assert said == ["second region: output of s3-throttle"]
    assert capsys.readouterr().out == f"s3-throttle in {folder}/lab-beside\na fault\n"
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("code", [0, 1])
def test_what_it_printed_before_is_shown_only_if_it_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], folder: Path, code: int
) -> None:
    script = f"echo earlier; touch {folder}/ready; while [ -e {folder}/ready ]; do sleep 0.02; done; echo later; "
    running = rehearsing(monkeypatch, script + f"exit {code}")
    wait_for("the script has begun", (folder / "ready").exists, 120)
    running.follow(lambda line: (folder / "ready").unlink(missing_ok=True) if "from here" in line else print(line))
    shown = capsys.readouterr().out.splitlines()
    assert shown == (["later", "second region: what it printed before", "earlier"] if code else ["later"])


def test_output_is_not_announced_when_none_can_come(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OUTCOMES", json.dumps([asdict(DONE)]))
    running = rehearsing(monkeypatch, 'echo earlier; echo "$OUTCOMES" > "$4/outcomes.json"')
    wait_for("the process has ended", lambda: running._process.poll() is not None, 120)
    said: list[str] = []
    assert running.follow(said.append, ["eip-region"]) == ([DONE], True)
    assert said == []
    assert capsys.readouterr().out == ""


def test_one_that_left_something_behind_is_not_clean(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUTCOMES", json.dumps([asdict(DONE)]))
    running = rehearsing(monkeypatch, 'echo "$OUTCOMES" > "$4/outcomes.json"; exit 1')
    assert running.follow(lambda _: None, ["eip-region"]) == ([DONE], False)


def test_one_that_is_killed_has_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    running = rehearsing(monkeypatch, "kill -9 $$")
    ((outcome,), _) = running.follow(lambda _: None, ["eip-region"])
    assert (outcome.experiment, outcome.done) == ("s3-throttle", False)
    assert outcome.reason == "its process ended before it had written its outcome"


def test_an_experiment_is_run_by_the_process_that_takes_it_first(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    script = f'touch "$4/s3-throttle"; touch {folder}/ready; while [ ! -e "$4/eip-region" ]; do sleep 0.05; done'
    running = rehearsing(monkeypatch, script)
    wait_for("the process beside has taken one", (folder / "ready").exists, 120)
    assert not running.shared.take("s3-throttle")
    assert running.shared.take("eip-region")
    assert not running.shared.take("eip-region")
    running.follow(lambda _: None, ["eip-region"])  # ends because the process sees the claim


def test_it_ends_in_order_when_it_is_stopped(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    running = rehearsing(monkeypatch, until_terminated(folder))
    wait_for("the script has begun", (folder / "ready").exists, 120)
    running.stop()
    assert (folder / "ended").exists()


def test_it_ends_in_order_when_this_process_is_killed(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    child = os.fork()
    if child == 0:
        rehearsing(monkeypatch, until_terminated(folder))
        while not (folder / "ready").exists():
            time.sleep(0.02)
        os.kill(os.getpid(), 9)
    os.waitpid(child, 0)
    wait_for("the script has ended", (folder / "ended").exists, 120)
