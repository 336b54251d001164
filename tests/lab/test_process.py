"""Commands of this machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.errors import LabError
from lab.process import run


def test_a_disk_that_is_full_does_not_hide_what_the_command_said() -> None:
    with pytest.raises(LabError, match=r"^sh -c .*: exit code 3: no space left on device$"):
        run(["sh", "-c", "echo no space left on device >&2; exit 3"], log=Path("/dev/full"))
