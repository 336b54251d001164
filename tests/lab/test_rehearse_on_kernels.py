"""The main job, stopped at any moment: everything is taken down, and whoever stopped it is told so."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import control
from lab.leak_check import MachineSnapshot, snapshot_machine
from lab.paths import PROJECT
from tests.conftest import free_port, require_region
from tests.document_outputs import outputs_of, shape

pytestmark = [pytest.mark.kernel, pytest.mark.timeout(600)]

TEAR_DOWN_SECONDS = 90


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A place of its own for the region of one test; whatever becomes of it, it is ended."""
    require_region()
    monkeypatch.setenv("TIDEMARK_LAB_DIR", str(tmp_path / "lab"))
    monkeypatch.setenv("TIDEMARK_LAB_PORT", str(free_port()))
    monkeypatch.setenv("TIDEMARK_RESULTS_DIR", str(tmp_path / "results"))
    monkeypatch.setenv("TIDEMARK_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("PYTHONUNBUFFERED", "1")
    yield tmp_path / "lab"
    control.down(lambda _: None)


def rehearse_until(words: str, experiment: str, *, verbose: bool = True) -> tuple[subprocess.Popen[str], list[str]]:
    """Begin a rehearsal, and return when it has printed a line with these words."""
    process = subprocess.Popen(
        [sys.executable, "-m", "lab", "rehearse", experiment, *(["--verbose"] if verbose else [])],
        cwd=PROJECT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    said = []
    for line in process.stdout:
        said.append(line)
        if words in line:
            return process, said
    raise AssertionError("".join(said))


def nothing_left(folder: Path, before: MachineSnapshot) -> bool:
    return snapshot_machine(folder).added_since(before) == []


@pytest.mark.parametrize(
    ("words", "number", "experiment"),
    [
        ("rehearsal region: up", signal.SIGTERM, "s3-throttle"),
        ("created Instance", signal.SIGINT, "s3-throttle"),
        ("configure      volumes", signal.SIGINT, "md-raid"),
    ],
)
def test_an_interrupt_takes_everything_down(folder: Path, words: str, number: signal.Signals, experiment: str) -> None:
    before = snapshot_machine(folder)
    process, said = rehearse_until(words, experiment)
    os.killpg(process.pid, number)  # Ctrl-C reaches all that a terminal started
    rest, _ = process.communicate(timeout=TEAR_DOWN_SECONDS)
    everything = "".join(said) + rest
    assert process.returncode == 130, everything
    assert f"{number.name}: tearing down" in rest
    assert "left in the account: nothing" in rest
    assert "left on the machine: nothing" in rest
    assert "Traceback" not in everything, everything
    assert nothing_left(folder, before)


def test_a_rehearsal_that_is_killed_leaves_nothing(folder: Path) -> None:
    before = snapshot_machine(folder)
    process, _ = rehearse_until("configure      packages", "s3-throttle")
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    deadline = time.monotonic() + TEAR_DOWN_SECONDS
    while not nothing_left(folder, before):
        assert time.monotonic() < deadline, snapshot_machine(folder).added_since(before)
        time.sleep(0.5)
    assert process.stdout is not None
    process.stdout.close()


def test_a_rehearsal_prints_what_readme_and_tutorial_show(folder: Path) -> None:
    process, said = rehearse_until("; its page is", "eip-region", verbose=False)
    rest, _ = process.communicate(timeout=TEAR_DOWN_SECONDS)
    everything = "".join(said) + rest
    assert process.returncode == 0, everything
    printed = {shape(line.replace(str(folder.parent / "results"), "results")) for line in everything.splitlines()}
    assert {shape(line) for line in outputs_of(PROJECT / "README.md")} <= printed, everything
    of_both = ("rehearsal region:", "efs-iops", "hosts ", "report:", "left in", "left on")
    tutorial = [line for line in outputs_of(PROJECT / "docs/tutorial.md") if line.startswith(of_both)]
    assert len(tutorial) == 8
    as_here = [line.replace("efs-iops", "eip-region").replace("client-1", "host-1") for line in tutorial]
    assert {shape(line) for line in as_here} <= printed, everything
    brief = everything[everything.index("moves across zones") :].splitlines()
    assert len(brief) <= 24, "the end is one screenful"
