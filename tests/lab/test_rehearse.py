"""Several experiments in one region: what becomes of the rest when one fails, or when it is interrupted."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from lab import beside, control, rehearse, stack_rehearsal
from lab.errors import LabError
from lab.outcomes import Outcome, run_of, show_outcomes
from lab.rehearsal_model import SERVICE_MODEL
from lab.stacks import rehearsable_experiments
from report.format import MISSING

RUNS_FROM = datetime(2026, 11, 23, 12, 0, 5, 900_000, tzinfo=UTC)


@pytest.fixture
def tables(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[list[Outcome]]:
    """A region that is none; what was shown at the end."""
    shown: list[list[Outcome]] = []
    region = control.Running(url="http://127.0.0.1:1", region="eu-central-1", folder=tmp_path, pid=os.getpid())
    monkeypatch.setenv("TIDEMARK_LAB_DIR", str(tmp_path))
    monkeypatch.setattr(control, "up", lambda *_, **__: region)
    monkeypatch.setattr(control, "apply_service_model", lambda _: None)
    monkeypatch.setattr(beside, "room_for_two_regions", lambda: False)
    monkeypatch.setattr(rehearse, "destroy_stack", lambda *_: [])
    monkeypatch.setattr(rehearse, "tear_down", lambda *_, **__: True)
    monkeypatch.setattr(rehearse, "show_outcomes", lambda _, outcomes, __: shown.append(list(outcomes)))
    return shown


def experiments_that(monkeypatch: pytest.MonkeyPatch, run: Callable[[str], int]) -> None:
    """Each experiment's stack is up at once; its tasks are `run`."""
    monkeypatch.setattr(stack_rehearsal, "_run_program", lambda *_: {"inventory": "{}"})
    monkeypatch.setattr(stack_rehearsal, "_run_experiment", lambda experiment, *_: run(experiment))


def test_one_that_fails_does_not_stop_the_rest(
    tables: list[list[Outcome]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ran = []

    def run(experiment: str) -> int:
        ran.append(experiment)
        if experiment == "md-raid":
            raise LabError("no room")
        return 0

    experiments_that(monkeypatch, run)
    said: list[str] = []
    assert rehearse.rehearse([], said.append) == 1
    assert tuple(ran) == rehearsable_experiments()
    (outcomes,) = tables
    (failed,) = (outcome for outcome in outcomes if not outcome.done)
    assert (failed.experiment, failed.reason) == ("md-raid", "no room")
    assert said[-1].startswith(f"{len(ran) - 1} of {len(ran)} experiments done after ")
    assert capsys.readouterr().err == "lab: md-raid: no room\n"


def test_each_experiment_starts_with_its_own_block_storage_model_or_none(
    tables: list[list[Outcome]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    applied: list[str | None] = []
    described: dict[str, bool] = {}
    monkeypatch.setattr(control, "apply_service_model", lambda model: applied.append(model and model.name))

    def run(experiment: str) -> int:
        described[experiment] = (tmp_path / SERVICE_MODEL).exists()
        return 0

    experiments_that(monkeypatch, run)
    assert rehearse.rehearse(["md-raid", "eip-region"], lambda _: None) == 0
    assert rehearse.rehearse(["md-raid"], lambda _: None, model="narrow-ebs-link") == 0
    assert applied == ["ebs-2015-c4", None, "narrow-ebs-link"]
    assert described == {"md-raid": True, "eip-region": False}
    assert len(tables) == 1


def test_tasks_that_fail_are_a_failure(tables: list[list[Outcome]], monkeypatch: pytest.MonkeyPatch) -> None:
    experiments_that(monkeypatch, lambda _: 1)
    said: list[str] = []
    assert rehearse.rehearse(["md-raid"], said.append) == 1
    assert tables == []  # one experiment has its own report, and no table of all
    assert said[-1].startswith("md-raid: not done after ")


def test_it_says_how_long_it_takes_and_where_the_page_is(
    tables: list[list[Outcome]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TIDEMARK_RESULTS_DIR", str(tmp_path))

    def run(_: str) -> int:
        directory = tmp_path / "md-raid" / "md-raid.lab" / f"{datetime.now(UTC):%Y-%m-%dT%H%M%SZ}"
        directory.mkdir(parents=True)
        (directory / "report.html").touch()
        return 0

    experiments_that(monkeypatch, run)
    said: list[str] = []
    assert rehearse.rehearse(["md-raid"], said.append) == 0
    assert any(
        re.fullmatch(r"md-raid.lab: creating its resources; the rehearsal takes about \d+ s", each) for each in said
    )
    assert re.fullmatch(r"md-raid: done after \d+ s; its page is .*/report.html", said[-1])


def test_tasks_get_the_plan_and_print_all_tables_when_asked(
    tables: list[list[Outcome]], monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[tuple[object, ...]] = []

    def run_task(*words: object) -> int:
        given.append(words[2:])
        return 0

    monkeypatch.setattr(stack_rehearsal, "_run_program", lambda *_: {"inventory": "{}"})
    monkeypatch.setattr(stack_rehearsal, "run_task", run_task)
    monkeypatch.setattr(rehearse, "_check_plan", lambda *_: None)
    assert rehearse.rehearse(["md-raid"], lambda _: None) == 0
    assert rehearse.rehearse(["md-raid"], lambda _: None, plan="full", verbose=True) == 0
    assert given == [("md-raid.all",), ("md-raid.all", "--plan", "full", "--verbose")]


def test_resources_are_counted_every_few_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    say = rehearse._counted(said.append)
    say("created Vpc")
    assert said == [], "a short wait says nothing"
    monkeypatch.setattr(rehearse, "COUNT_SECONDS", 0.0)
    say("created Subnet")
    assert said == ["creating: 2 resources so far"]


def test_an_interrupt_ends_all(tables: list[list[Outcome]], monkeypatch: pytest.MonkeyPatch) -> None:
    def run(experiment: str) -> int:
        if experiment == "efs-iops":
            os.kill(os.getpid(), signal.SIGINT)
        return 0

    experiments_that(monkeypatch, run)
    assert rehearse.rehearse(["md-raid", "efs-iops", "md-raid"], lambda _: None) == 130
    assert [[outcome.experiment for outcome in outcomes] for outcomes in tables] == [["md-raid"]]


def test_a_terminal_that_is_closed_ends_all(tables: list[list[Outcome]], monkeypatch: pytest.MonkeyPatch) -> None:
    def run(_: str) -> int:
        os.kill(os.getpid(), signal.SIGHUP)
        return 0

    experiments_that(monkeypatch, run)
    said: list[str] = []
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    try:
        assert rehearse.rehearse(["md-raid", "efs-iops"], said.append) == 130
        assert "SIGHUP: tearing down" in said
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        assert rehearse.rehearse(["md-raid", "efs-iops"], said.append) == 0, "what nohup started goes on"
    finally:
        signal.signal(signal.SIGHUP, before)


def test_what_was_not_started_is_not_done(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(*_: object, **__: object) -> control.Running:
        raise LabError("no room")

    monkeypatch.setenv("TIDEMARK_LAB_DIR", str(tmp_path))
    monkeypatch.setattr(control, "up", refuse)
    for names in (["md-raid"], []):
        said: list[str] = []
        with pytest.raises(LabError, match="no room"):
            rehearse.rehearse(names, said.append)
        assert said == ["nothing was started"]


def test_a_region_that_ends_ends_the_rehearsal_and_says_so(
    tables: list[list[Outcome]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    process = subprocess.Popen(["sleep", "60"])
    region = control.Running(url="http://127.0.0.1:1", region="eu-central-1", folder=tmp_path, pid=process.pid)
    monkeypatch.setattr(control, "up", lambda *_, **__: region)

    def run(experiment: str) -> int:
        if experiment == "efs-iops":
            process.kill()
            process.wait()
        return 0

    experiments_that(monkeypatch, run)
    said: list[str] = []
    assert rehearse.rehearse(["md-raid", "efs-iops", "iscsi-tunnel"], said.append) == 1
    assert [[outcome.experiment for outcome in outcomes] for outcomes in tables] == [["md-raid", "efs-iops"]]
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("lab: the rehearsal region has ended: ")
    assert line.endswith(f"; its log is {tmp_path / 'region.log'}")


def test_what_one_leaves_behind_fails_the_rehearsal(
    tables: list[list[Outcome]], monkeypatch: pytest.MonkeyPatch
) -> None:
    experiments_that(monkeypatch, lambda _: 0)
    monkeypatch.setattr(rehearse, "destroy_stack", lambda *_: ["volume vol-1"])
    assert rehearse.rehearse(["md-raid", "efs-iops"], lambda _: None) == 1


def test_the_results_of_a_run_are_those_since_it_began(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEMARK_RESULTS_DIR", str(tmp_path))
    assert run_of("md-raid", "md-raid.lab", RUNS_FROM) is None
    stack = tmp_path / "md-raid" / "md-raid.lab"
    (stack / "2026-11-23T120004Z").mkdir(parents=True)
    assert run_of("md-raid", "md-raid.lab", RUNS_FROM) is None
    (stack / "2026-11-23T120005Z").mkdir()
    assert run_of("md-raid", "md-raid.lab", RUNS_FROM) == str(stack / "2026-11-23T120005Z")


def test_the_report_shows_what_it_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    told: dict[str, Any] = {}

    def report(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        told.update(options, command=command)
        return real(command, **{**options, "stdout": subprocess.PIPE})

    real = subprocess.run
    monkeypatch.setattr(subprocess, "run", report)
    show_outcomes(["md-raid", "efs-iops"], [Outcome("md-raid", 12.0, None, "no room")])
    done = real(told["command"], input=told["input"], cwd=told["cwd"], capture_output=True, text=True, check=True)
    rows = [line for line in done.stdout.splitlines() if "not done" in line]
    assert [" ".join(row.replace("|", " ").split()) for row in rows] == [
        f"md-raid not done 12 {MISSING} {MISSING} {MISSING} {MISSING} no room",
        f"efs-iops not done {MISSING} {MISSING} {MISSING} {MISSING} {MISSING} interrupted",
    ]
