"""What a recovery drill finds in /restored: an earlier drill's files go, and nobody else's."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from workloads.connectors.script import script_command
from workloads.encrypted_backup.context import script

Drill = Callable[[], "subprocess.CompletedProcess[str]"]


@pytest.fixture
def drill(tmp_path: Path) -> Drill:
    """Types a sheet that restores one file, new each time."""
    text = script("blank_recover").text
    for place in ("/var/lib/tidemark", "/restored", "/run/tidemark-drill"):
        text = text.replace(place, f"{tmp_path}{place}")
    (tmp_path / "run").mkdir()
    command = script_command("blank_recover", [":"], "root", locked=False, keep_stdin_open=True)
    typed = f"password\npassphrase\naddress\nmkdir -p {tmp_path}/restored; touch {tmp_path}/restored/$BASHPID\n"

    def run() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["sh", "-c", command], input=f"{text.rstrip()}\n{typed}", capture_output=True, text=True, timeout=60
        )

    return run


def test_a_second_drill_does_not_find_the_files_of_the_first(drill: Drill, tmp_path: Path) -> None:
    """A file that the source has lost in between made the comparison fail."""
    for _ in range(2):
        done = drill()
        assert done.returncode == 0, done.stderr
        assert '"files": 1' in done.stdout


def test_what_a_person_has_there_stays(drill: Drill, tmp_path: Path) -> None:
    (tmp_path / "restored").mkdir()
    (tmp_path / "restored" / "thesis").touch()
    done = drill()
    assert done.returncode == 1
    assert "tidemark-error: " in done.stderr
    assert "/restored holds what no drill has put there|move it away" in done.stderr
    assert (tmp_path / "restored" / "thesis").exists()
    shutil.rmtree(tmp_path / "restored")
    (tmp_path / "restored").mkdir()
    assert drill().returncode == 0
