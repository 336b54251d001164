"""What is shown while something is under way; rsync's running line, as rsync 3.2 and 3.5 write it."""

from __future__ import annotations

import io
import shutil
import subprocess
import time
from pathlib import Path

import pytest
import rich.console

from tests.workloads.fakes import FakeHosts, inventory_document, inventory_of
from workloads import console as consoles
from workloads.connectors.script import Script
from workloads.console import Console
from workloads.encrypted_backup.context import Context, copied
from workloads.encrypted_backup.reversible import Action
from workloads.errors import WorkloadError


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("     12,345,678  45%    1.20MB/s    0:00:12 (xfr#5, to-chk=12/34)", "12.3 MB, 45 %, 12 s left"),
        ("              0   0%    0.00kB/s    0:00:00  ", "0 B, 0 %, 0 s left"),
        ("1,099,511,627,776  99%  110.51MB/s   27:10:02 (xfr#9, to-chk=0/9)", "1.1 TB, 99 %, 27 hours left"),
    ],
)
def test_lines_of_progress(line: str, expected: str) -> None:
    assert copied(line) == expected


@pytest.mark.parametrize("line", ["", "created 3 files", '{"changed": 1}', "rsync: [sender] 12% of nothing"])
def test_other_lines(line: str) -> None:
    assert copied(line) is None


def test_a_real_rsync_is_understood(tmp_path: Path) -> None:
    if shutil.which("rsync") is None:
        pytest.skip("no rsync here (make setup-tests installs it)")
    (tmp_path / "from").mkdir()
    (tmp_path / "from" / "file").write_bytes(b"x" * 5_000_000)
    command = ["rsync", "-a", "--no-inc-recursive", "--info=progress2", f"{tmp_path}/from/", f"{tmp_path}/to/"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout.replace("\r", "\n")
    assert [found for line in said.splitlines() if (found := copied(line))][-1].startswith("5 MB, 100 %, ")


LONG_S = 0.3  # longer than QUIET_PROGRESS_S below


@pytest.fixture
def out(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    monkeypatch.setattr(consoles, "REFRESH_S", 0.01)
    monkeypatch.setattr(consoles, "QUIET_PROGRESS_S", 0.1)
    return io.StringIO()


def context_on(out: io.StringIO) -> Context:
    """A context whose scripts take a while."""

    def answer(host: str, name: str, arguments: list[str]) -> str:
        time.sleep(LONG_S)
        return ""

    inventory = inventory_of(inventory_document())
    client = next(host for host in inventory.hosts if host.role == "client")
    hosts = FakeHosts(inventory, answer)
    return Context(hosts=hosts, console=Console(rich.console.Console(file=out)), client_host=client, run="backup")


def test_every_action_shows_what_is_waited_for_and_so_does_its_undoing(out: io.StringIO) -> None:
    context = context_on(out)
    attach = Action("attach", lambda: time.sleep(LONG_S), "detach", lambda: time.sleep(LONG_S))
    with context.performed([attach]):
        pass
    assert "backup         attaching the disk through the tunnel  (" in out.getvalue()
    assert "backup         detaching the disk  (" in out.getvalue()


def test_a_script_of_an_action_is_shown_in_the_action_s_own_line(out: io.StringIO) -> None:
    context = context_on(out)

    def copy() -> None:
        context.run_long(Script("copy", ""), [], "copying /home")
        time.sleep(0.5)

    with context.performed([Action("copy", copy)]):
        pass
    lines = [line.partition("  (")[0] for line in out.getvalue().splitlines() if "copying" in line]
    assert lines[0] == "backup         copying /home"
    assert lines[-1] == "backup         copying"
    assert not any("/home" in line for line in lines[lines.index(lines[-1]) :]), "one line at a time"


def test_after_a_fault_the_next_action_has_its_own_words(out: io.StringIO) -> None:
    context = context_on(out)

    def fail() -> None:
        with context.under_way("copying /home"):
            raise WorkloadError("the disk is full", "make room")

    with pytest.raises(WorkloadError), context.performed([Action("copy", fail)]):
        pass
    with context.performed([Action("mount", lambda: time.sleep(0.5))]):
        pass
    assert "backup         mounting the file system  (" in out.getvalue()
