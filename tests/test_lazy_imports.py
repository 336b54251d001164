"""What is slow to import waits for the task that needs it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from workloads.lazy_import import lazy_import
from workloads.paths import PROJECT


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
