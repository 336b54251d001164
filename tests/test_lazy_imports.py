"""What is slow to import waits for the task that needs it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from workloads.lazy_import import lazy_import
from workloads.load_inventory import PROJECT


@pytest.mark.parametrize(
    ("module", "without"),
    [
        ("fabfile", ["boto3", "botocore", "pydantic", "pydantic_core", "rich"]),
        ("fabfile", ["fabric", "paramiko", "cryptography", "pulumi", "pulumi_aws", "numpy", "duckdb", "documents"]),
        ("report.ledger", ["numpy", "scipy", "vl_convert", "duckdb", "jinja2", "pydantic", "yaml"]),
        ("report.ledger", ["boto3", "botocore", "fabric", "paramiko", "invoke", "pulumi", "inventory", "workloads"]),
    ],
)
def test_listing_tasks_and_claims_loads_nothing_slow(module: str, without: list[str]) -> None:
    program = f"import sys, {module}; print([name for name in {without!r} if name in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", program], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert ran.stdout == "[]\n"


def test_fab_loads_no_ssh_and_lists_what_fabric_lists() -> None:
    program = """
import runpy, sys
sys.argv = ["fab", "--list"]
try:
    runpy.run_path("scripts/fab.py", run_name="__main__")
except SystemExit as end:
    print(end.code, [name for name in ("fabric", "paramiko", "cryptography", "asyncio") if name in sys.modules])
"""
    ran = subprocess.run([sys.executable, "-c", program], cwd=PROJECT, capture_output=True, text=True, check=True)
    fabric = [sys.executable, "-m", "fabric", "--list"]
    listed = subprocess.run(fabric, cwd=PROJECT, capture_output=True, text=True, check=True).stdout
    assert ran.stdout == f"{listed}0 []\n"


def test_setup_makes_it_the_environments_fab(tmp_path: Path) -> None:
    """In an environment that is up to date, too: it may be older than the program."""
    shutil.copytree(PROJECT / "scripts", tmp_path / "scripts")
    programs = tmp_path / ".venv" / "bin"
    programs.mkdir(parents=True)
    for folder in (tmp_path, tmp_path / ".venv"):
        (folder / "requirements.lock").write_text("")
    for name, text in (
        ("python", f'#!/bin/sh\nexec {sys.executable} "$@"\n'),
        ("fab", "from fabric.main import program"),
    ):
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    subprocess.run([tmp_path / "scripts" / "install-python"], check=True)
    ran = subprocess.run([programs / "fab", "--list"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "Can't find any collection named 'fabfile'!" in ran.stdout + ran.stderr


def test_fab_names_the_versions_of_its_packages() -> None:
    both = [[sys.executable, *program, "--version"] for program in (["scripts/fab.py"], ["-m", "fabric"])]
    ours, fabrics = (subprocess.run(each, cwd=PROJECT, capture_output=True, text=True, check=True) for each in both)
    assert ours.stdout == fabrics.stdout


def test_a_module_is_loaded_when_it_is_used_and_one_that_is_not_there_is_an_error() -> None:
    program = """
import sys
from workloads.lazy_import import lazy_import
colours = lazy_import("colorsys")
assert lazy_import("colorsys") is colours
assert "rgb_to_hsv" not in object.__getattribute__(colours, "__dict__")
assert colours.rgb_to_hsv(0, 0, 0) == (0.0, 0.0, 0)
"""
    subprocess.run([sys.executable, "-c", program], cwd=PROJECT, check=True)
    with pytest.raises(ModuleNotFoundError, match="no_such_module"):
        lazy_import("workloads.no_such_module")
