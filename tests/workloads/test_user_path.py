"""Paths as people give them, and plan files of every experiment that nobody could have meant."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import paramiko
import pytest

from inventory import Inventory, Ssh
from lab import service_model
from lab.errors import LabError
from tests.workloads.call_task import call_task
from tests.workloads.fakes import host_key, inventory_document, inventory_of
from workloads import load_inventory
from workloads.connectors.ssh import connect, pin
from workloads.efs_iops import plan as efs_iops
from workloads.efs_iops.experiment import EXPERIMENT
from workloads.eip_region import plan as eip_region
from workloads.errors import WorkloadError
from workloads.iscsi_tunnel import plan as iscsi_tunnel
from workloads.md_raid import plan as md_raid
from workloads.paths import output_path, user_path
from workloads.s3_throttle import plan as s3_throttle

PLANS = Path(__file__).parents[2] / "workloads"
MODULES = [efs_iops, eip_region, iscsi_tunnel, md_raid, s3_throttle]
DIGITS = "9" * 5000


@pytest.fixture
def inventory() -> Inventory:
    return inventory_of(inventory_document())


def test_the_home_of_a_user_who_is_not_here_is_no_traceback(inventory: Inventory) -> None:
    assert user_path("~nobody-here/x") == Path("~nobody-here/x")
    assert user_path("~/x") == Path.home() / "x"
    with pytest.raises(
        WorkloadError, match=r"--inventory ~nobody-here/x: cannot be read \(No such file or directory\)"
    ):
        load_inventory.load(None, "~nobody-here/x")
    with pytest.raises(WorkloadError, match="--plan ~nobody-here/x: no such plan"):
        md_raid.Plan.load("~nobody-here/x")
    with pytest.raises(WorkloadError, match=r"client: ssh.identity_file ~nobody-here/x is not there"):
        connect(inventory.host("client"), Ssh("admin", "~nobody-here/x", None), [host_key(20)])


def test_a_file_without_an_end_is_one_line() -> None:
    with pytest.raises(WorkloadError, match=r"--inventory /dev/zero: cannot be read \(File too large\)"):
        load_inventory.load(None, "/dev/zero")
    with pytest.raises(WorkloadError, match=r"--plan /dev/zero: no such plan \(File too large\); give one of full"):
        md_raid.Plan.load("/dev/zero")
    with pytest.raises(LabError, match=r"/dev/zero: no such service model; give one of none"):
        service_model.load("/dev/zero")


@pytest.mark.parametrize(
    ("output", "says"),
    [
        ("absent/base.json", "there is no directory"),
        ("", "that is a directory"),
        ("base.json/x", "there is no directory"),
        ("x" * 300, "File name too long"),
    ],
)
def test_where_an_answer_goes_is_looked_at_before_it_is_measured(output: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "base.json").write_text("")
    with pytest.raises(WorkloadError, match=f"^--output .*: {says}"):
        output_path(str(tmp_path / output))
    with pytest.raises(WorkloadError, match=f"^--output .*: {says}"):
        call_task(EXPERIMENT, "base", inventory=str(tmp_path / "none is read"), output=str(tmp_path / output))


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__.split(".")[1])
@pytest.mark.parametrize(
    ("value", "says"),
    [
        (DIGITS, "plan.toml: a number has thousands of digits; correct that number"),
        (f"-{DIGITS}", "plan.toml: a number has thousands of digits; correct that number"),
        (f"0x{'f' * 5000}", " is a number of thousands of digits; expected "),
        ("[" * 3000 + "]" * 3000, "plan.toml: is nested too deeply; correct it"),
        (f'"{"x" * 5000}"', "...; expected "),
        ("nan", " is nan; expected "),
        ("inf", " is inf; expected "),
        ("[[1]]", "; expected "),
        ("{ a = 1 }", ' is {"a": 1}; expected '),
        ("2026-01-01", ' is "2026-01-01"; expected '),
    ],
    ids=lambda value: value[:8],
)
def test_every_plan_with_a_strange_value_anywhere_is_one_line(module: ModuleType, value: str, says: str) -> None:
    folder = PLANS / module.__name__.split(".")[1] / "plans"
    lines = (folder / "short.toml").read_text().splitlines()
    changed = 0
    for number, line in enumerate(lines):
        name, equals, rest = line.partition(" = ")
        if not equals or line.startswith("#") or rest.rstrip().endswith(("[", ",")) or name.startswith((" ", "{")):
            continue
        text = "\n".join([*lines[:number], f"{name} = {value}", *lines[number + 1 :]])
        with pytest.raises(WorkloadError) as fault:
            module.Plan.read(text, "plan.toml")
        assert says in str(fault.value)
        assert len(str(fault.value)) < 500
        changed += 1
    assert changed >= 3


@pytest.mark.parametrize(
    "key",
    [
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI",
        "ssh-rsa AAAA",
        host_key(1).replace("ssh-ed25519", "ssh-rsa"),
        "ssh-ed25519",
        "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBAAAAAAAAAAAAAAAAAAA",
    ],
)
def test_a_host_key_that_was_pinned_and_cannot_be_read_is_one_line(key: str, inventory: Inventory) -> None:
    """Keys come from consoles, too, and from the file in which they are kept."""
    with pytest.raises(WorkloadError) as fault:
        pin(paramiko.SSHClient(), inventory.host("client"), [key])
    assert str(fault.value).startswith(f"client: host key {key[:40]!r} cannot be read; give it whole, as ")
