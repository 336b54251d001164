"""Commands of this machine."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from lab.errors import LabError
from lab.process import HOST_OOM_SCORE, REGION_OOM_SCORE, run, set_oom_score
from tests.machine import may_lower_an_oom_score, oom_score


def test_the_region_is_the_last_and_hosts_are_the_first_to_be_killed_when_memory_runs_out() -> None:
    scores = (REGION_OOM_SCORE, HOST_OOM_SCORE) if may_lower_an_oom_score() else (HOST_OOM_SCORE,)
    process = subprocess.Popen(["sleep", "60"])
    try:
        for score in scores:
            set_oom_score(process.pid, score)
            assert oom_score(process.pid) == score
    finally:
        process.kill()
        process.wait()
    set_oom_score(process.pid, HOST_OOM_SCORE)
    assert REGION_OOM_SCORE < 0 < HOST_OOM_SCORE


def test_a_disk_that_is_full_does_not_hide_what_the_command_said() -> None:
    with pytest.raises(LabError, match=r"^sh -c .*: exit code 3: no space left on device$"):
        run(["sh", "-c", "echo no space left on device >&2; exit 3"], log=Path("/dev/full"))
