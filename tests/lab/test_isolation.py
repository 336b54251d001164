"""A rehearsal finds what it starts, and asks nobody else, whatever the user's environment says."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lab import control, isolation
from lab.isolation import isolate, isolated, users_proxies
from lab.kernel.uml import BootFiles
from lab.leak_check import REGION_VARIABLE
from lab.paths import PROJECT
from lab.tasks import RegionWatch, run_beside
from tests.lab.conftest import Api
from workloads.aws import ec2_client
from workloads.load_inventory import ask_rehearsal_api

NOBODY = "http://127.0.0.1:9"  # the discard port: nobody listens
TRAPS = {
    "AWS_PROFILE": "no-such-profile",
    "AWS_DEFAULT_PROFILE": "no-such-profile",
    "AWS_ENDPOINT_URL": "http://198.51.100.1",
    "AWS_ENDPOINT_URL_EC2": "http://198.51.100.1",
    "AWS_ENDPOINT_URL_S3": "http://198.51.100.1",
    "AWS_CA_BUNDLE": "/no/such/bundle",
    "AWS_SESSION_TOKEN": "somebody-s",
    "AWS_MAX_ATTEMPTS": "many",
    "AWS_CONFIG_FILE": "/no/such/config",
    "http_proxy": NOBODY,
    "https_proxy": NOBODY,
    "HTTP_PROXY": NOBODY,
    "HTTPS_PROXY": NOBODY,
    "ALL_PROXY": NOBODY,
    "TMPDIR": "/no/such/folder",
}
ASK = """
import sys
from lab.isolation import isolate
isolate()
from lab.clients import Clients
print(len(Clients(sys.argv[1], "eu-central-1").ec2.describe_vpcs()["Vpcs"]))
"""


@pytest.fixture
def trapped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything in the environment that could lead away does; afterwards all is as it was."""
    before = dict(os.environ)
    for name in before:
        monkeypatch.setenv(name, before[name])  # so that it is put back, whoever takes it away
    for name, value in TRAPS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(isolation, "_downloads", {})


def is_safe(environment: dict[str, str]) -> None:
    left = {name: value for name, value in environment.items() if TRAPS.get(name) == value}
    assert left == {}
    assert environment["PIP_PROXY"] == NOBODY, "downloads go by the user's proxy"


def test_an_isolated_environment_has_none_of_it(trapped: None) -> None:
    is_safe(isolated(os.environ))
    assert isolated(os.environ)["PATH"] == os.environ["PATH"]


def test_the_lab_asks_its_own_api_alone(api: Api, trapped: None) -> None:
    done = subprocess.run(
        [sys.executable, "-c", ASK, api.url], cwd=PROJECT, capture_output=True, text=True, check=False, timeout=120
    )
    assert (done.returncode, done.stdout) == (0, "1\n"), done.stderr


def test_tasks_inherit_none_of_it(trapped: None, tmp_path: Path) -> None:
    region = control.Running(tmp_path, "http://127.0.0.1:1", os.getpid(), "eu-central-1")
    write = f"import json, os; json.dump(dict(os.environ), open({str(tmp_path / 'seen')!r}, 'w'))"
    assert run_beside([sys.executable, "-c", write], RegionWatch(region)) == 0
    seen = json.loads((tmp_path / "seen").read_text())
    is_safe(seen)
    assert seen["AWS_ENDPOINT_URL"] == region.url
    assert seen[REGION_VARIABLE] == str(tmp_path)


def test_the_region_inherits_none_of_it(trapped: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "unshare").write_text(f"#!/bin/sh\nenv >{tmp_path / 'seen'}\necho ready\n")
    (tools / "unshare").chmod(0o755)
    monkeypatch.setenv("PATH", str(tools), prepend=":")
    with (tmp_path / "lock").open("w") as any_file:
        files = BootFiles(Path("/kernel"), Path("/image"))
        control._start(tmp_path, files, "eu-central-1", any_file.fileno(), any_file.fileno(), None).wait()
    seen = dict(line.partition("=")[::2] for line in (tmp_path / "seen").read_text().splitlines())
    is_safe(seen)
    assert seen[REGION_VARIABLE] == str(tmp_path)


def test_a_task_of_ones_own_asks_the_region_alone(
    api: Api, trapped: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """`fab md-raid.run` beside a region that stays up."""
    (tmp_path / "region.json").write_text(json.dumps({"url": api.url}))
    monkeypatch.setenv("TIDEMARK_LAB_DIR", str(tmp_path))
    ask_rehearsal_api()
    assert len(ec2_client("eu-central-1").describe_vpcs()["Vpcs"]) == 1
    is_safe(dict(os.environ) | {"TMPDIR": ""})


def test_downloads_have_the_users_proxies_and_nothing_else_has(trapped: None) -> None:
    isolate()
    assert "https_proxy" not in os.environ
    with users_proxies():
        assert os.environ["https_proxy"] == os.environ["HTTP_PROXY"] == NOBODY
        assert "AWS_PROFILE" not in os.environ
    assert "https_proxy" not in os.environ


def test_python3_is_the_python_that_runs(trapped: None) -> None:
    isolate()
    found = shutil.which("python3")
    assert found is not None
    assert Path(found).parent == Path(sys.executable).parent


def test_root_s_tools_are_found_without_root_s_path(trapped: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """cron(8) gives /usr/bin:/bin, and `su` without a dash leaves the user's: the doctor's words were "not found"."""
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    isolate()
    assert os.environ["PATH"].endswith(":/usr/bin:/bin:/usr/sbin:/sbin")


def test_a_folder_for_temporary_files_that_is_one_stays(tmp_path: Path) -> None:
    assert isolated({"TMPDIR": str(tmp_path)})["TMPDIR"] == str(tmp_path)
