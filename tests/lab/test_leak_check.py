"""What an account holds, and what a region could leave on this machine, told from what is a person's own."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from lab.leak_check import REGION_VARIABLE, account_leftovers, snapshot_machine
from tests.lab.conftest import Api
from tests.machine import wait_for


def test_more_file_systems_than_a_page_has_are_all_seen(api: Api) -> None:
    for number in range(11):
        api.clients.efs.create_file_system(CreationToken=f"token-{number}")
    assert len(account_leftovers(api.clients)) == 11


def test_a_process_of_the_region_is_seen_and_a_persons_in_its_folder_is_not(tmp_path: Path) -> None:
    (tmp_path / "events").touch()
    before = snapshot_machine(tmp_path)
    persons = subprocess.Popen(["tail", "-f", str(tmp_path / "events")], cwd=tmp_path)
    others = subprocess.Popen(["sleep", "60"], env={**os.environ, REGION_VARIABLE: f"{tmp_path}-other"})
    ours = subprocess.Popen(["sleep", "60"], env={**os.environ, REGION_VARIABLE: str(tmp_path)})
    try:
        # A program that has just begun has no environment for a moment (execve(2) wakes the parent before).
        wait_for("the region's is seen", lambda: bool(snapshot_machine(tmp_path).added_since(before)), 60)
        assert snapshot_machine(tmp_path).added_since(before) == [f"process {ours.pid} (sleep 60)"]
    finally:
        for process in (persons, others, ours):
            process.kill()
            process.wait()
    assert snapshot_machine(tmp_path).added_since(before) == []


def test_what_has_an_environment_of_its_own_is_seen_by_its_process_namespace(tmp_path: Path) -> None:
    """As the helpers of User Mode Linux have."""
    if os.geteuid() != 0:
        return
    before = snapshot_machine(tmp_path)
    inside = subprocess.Popen(
        ["unshare", "--pid", "--fork", "--kill-child", "sh", "-c", "env -i sleep 61 & exec sleep 62"],
        env={**os.environ, REGION_VARIABLE: str(tmp_path)},
    )
    try:
        for _ in range(100):
            left = " ".join(snapshot_machine(tmp_path).added_since(before))
            if "(sleep 61)" in left and "(sleep 62)" in left:
                break
        assert "(sleep 61)" in left
        assert "(sleep 62)" in left
    finally:
        inside.kill()
        inside.wait()
