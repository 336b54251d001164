"""Each command that README and docs/ show is run by a test, or there is a reason why not."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from lab.paths import PROJECT
from tests.documented_commands import (
    BY_ENGINE,
    DOCUMENTS,
    NOT_RUN,
    ON_KERNELS,
    QUICK,
    WITHOUT_CREDENTIALS,
    commands_of,
    make_checkout,
    run_typed,
    users_environment,
)
from tests.report.run_builder import RunBuilder
from tests.report.test_report_eip_region import Builder as EipRunBuilder

ALL = set().union(*map(commands_of, DOCUMENTS))
RUN = {*QUICK, *WITHOUT_CREDENTIALS, *ON_KERNELS}
NAMED = ("BASE", "NEW", "BASE-AGAIN")


def runs_or_reasons(command: str) -> list[str]:
    patterns = [pattern for pattern in (BY_ENGINE, *NOT_RUN) if re.fullmatch(pattern, command)]
    return [*patterns, *([command] if command in RUN else [])]


def test_each_command_is_run_once_or_has_a_reason() -> None:
    assert {command: found for command in ALL if len(found := runs_or_reasons(command)) != 1} == {}


def test_each_command_that_is_run_is_documented_and_so_is_each_that_is_not() -> None:
    assert not RUN - ALL
    assert [pattern for pattern in NOT_RUN if not any(re.fullmatch(pattern, command) for command in ALL)] == []


@pytest.mark.parametrize("command", sorted(command for command in ALL if command.startswith("make ")))
def test_make_knows_what_each_of_its_targets_needs(command: str) -> None:
    done = subprocess.run(["bash", "-c", f"{command} --dry-run"], cwd=PROJECT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout with results of three stacks, whose generated files a command may write."""
    folder = tmp_path_factory.mktemp("typed") / "checkout"
    make_checkout(folder)
    builder = RunBuilder(brief=True, seconds=8)
    first = builder.write(folder / "results")
    EipRunBuilder().write(folder / "results")  # the newest: its page is the quickest to draw
    builder.write(folder / "results", "2026-11-23T113000Z")
    for name in NAMED:
        shutil.copytree(first, folder / name)
    for region in ("eu-central-1", "us-east-1"):
        builder.manifest["stack"] = builder.manifest["inventory"]["stack"] = f"md-raid.{region}"
        builder.write(folder / "results")
    return folder


@pytest.fixture
def environment(checkout: Path, tmp_path: Path) -> dict[str, str]:
    """Results in the checkout, and an `aws` that writes down what it is asked for."""
    (tmp_path / "aws").write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/asked\n')
    (tmp_path / "aws").chmod(0o755)
    environment = users_environment(tmp_path) | {"TIDEMARK_RESULTS_DIR": str(checkout / "results")}
    return environment | {"PATH": f"{tmp_path}:{environment['PATH']}"}


@pytest.mark.parametrize("command", [command for command in QUICK if "--pid" not in command])
def test_a_command_does_what_the_page_says(
    command: str, checkout: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    # What is installed is that of this test: `make` need not look.
    done = run_typed(command.replace("make ", "make --old-file=python "), checkout, environment)
    assert done.returncode == QUICK[command], done.stdout
    assert "Traceback" not in done.stdout
    if "aws s3 sync" in command:
        assert (tmp_path / "asked").read_text() == "s3 sync DIRECTORY s3://BUCKET\n"
    elif "hosts.json" in command:
        assert (checkout / "hosts.json").read_text().startswith("{")
    elif command.startswith("make"):
        for name in ("docs/reference", "schemas"):
            written = {path.name: path.read_bytes() for path in (checkout / name).glob("*.[mj]*")}
            assert written == {path.name: path.read_bytes() for path in (PROJECT / name).glob("*.[mj]*")}
    else:
        assert done.stdout


@pytest.mark.parametrize("command", [command for command in QUICK if "--pid" in command])
def test_ctrl_c_ends_a_cap_and_the_process_runs_on(command: str, checkout: Path, environment: dict[str, str]) -> None:
    running = subprocess.Popen(["sleep", "60"])
    throttle = subprocess.Popen(
        ["bash", "-c", "exec " + command.replace("13424", str(running.pid))],
        cwd=checkout,
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert throttle.stderr is not None
        throttle.stderr.readline()
        time.sleep(0.5)
        throttle.send_signal(signal.SIGINT)
        throttle.communicate(timeout=20)
        assert throttle.returncode == QUICK[command]
        assert running.poll() is None
        assert "State:\tS" in Path(f"/proc/{running.pid}/status").read_text(), "it is not stopped"
    finally:
        for process in (throttle, running):
            process.kill()
            process.wait()


@pytest.mark.parametrize("command", WITHOUT_CREDENTIALS)
def test_a_command_for_aws_says_that_credentials_are_missing(
    command: str, checkout: Path, environment: dict[str, str]
) -> None:
    done = run_typed(command.replace("make ", "make --old-file=python "), checkout, environment)
    assert done.returncode != 0
    assert "aws_offers: no AWS credentials" in done.stdout, done.stdout
    assert "Traceback" not in done.stdout


def test_an_inventory_that_is_not_filled_in_is_refused(checkout: Path, environment: dict[str, str]) -> None:
    """The second command of "On machines of your own" right after the first."""
    run_typed(".venv/bin/fab inventory.example md-raid > hosts.json", checkout, environment)
    done = run_typed(".venv/bin/fab md-raid.all --inventory hosts.json", checkout, environment)
    assert done.returncode == 1
    assert done.stdout.endswith("see your AWS credentials, region and network, or give host_keys in the inventory\n")
    assert "Traceback" not in done.stdout
