"""What a run has left under way is ended, and nothing else that has its process id by now."""

from __future__ import annotations

import subprocess
import threading
from pathlib import Path

import pytest

from workloads.connectors.script import END_OF_SCRIPT
from workloads.encrypted_backup.context import script


def end_what_is_under_way(noted: str, folder: Path) -> None:
    (folder / "under-way").write_text(noted)
    functions = script("client_release").text.replace("RUN=/run/tidemark-backup\n", f"RUN={folder}\n")
    functions = functions.removesuffix("\n").removesuffix(END_OF_SCRIPT).replace("\nrelease\nfinish\n", "\n")
    subprocess.run(["bash", "-c", functions + "\nend_what_is_under_way\n"], check=True, capture_output=True)


def start_of(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]


@pytest.mark.parametrize("stale", [True, False])
def test_a_process_id_alone_is_nobody(stale: bool, tmp_path: Path) -> None:
    with subprocess.Popen(["sleep", "60"]) as process:
        # Reaped at once, as init does: a process that nobody has waited for is still there.
        threading.Thread(target=process.wait).start()
        try:
            start = start_of(process.pid)
            end_what_is_under_way(f"{process.pid} {int(start) - stale}\n", tmp_path)
            assert (process.poll() is None) == stale
            assert not (tmp_path / "under-way").exists()
        finally:
            process.kill()


@pytest.mark.parametrize("noted", ["", "0 \n", "-1 \n", "1\n"])
def test_what_is_not_noted_whole_is_left_alone(noted: str, tmp_path: Path) -> None:
    with subprocess.Popen(["sleep", "60"]) as process:
        try:
            end_what_is_under_way(noted.replace("1\n", f"{process.pid}\n") if noted == "1\n" else noted, tmp_path)
            assert process.poll() is None
        finally:
            process.kill()
