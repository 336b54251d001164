"""What is shown while something is under way; rsync's running line, as rsync 3.2 and 3.5 write it."""

from __future__ import annotations

import io
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import rich.console

from tests.machine import wait_for
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


@pytest.fixture
def out(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    monkeypatch.setattr(consoles, "REFRESH_S", 0.01)
    monkeypatch.setattr(consoles, "QUIET_PROGRESS_S", 0.1)
    return io.StringIO()


def until_shown(out: io.StringIO, words: str) -> Callable[[], None]:
    """Something that takes until there is a line with these words."""

    def wait() -> None:
        wait_for(words, lambda: f"backup         {words}  (" in out.getvalue(), 120)

    return wait


def context_on(out: io.StringIO, script_shows: str = "") -> Context:
    """A context whose scripts take until those words are shown."""

    def answer(host: str, name: str, arguments: list[str]) -> str:
        until_shown(out, script_shows)()
        return ""

    inventory = inventory_of(inventory_document())
    client = next(host for host in inventory.hosts if host.role == "client")
    hosts = FakeHosts(inventory, answer)
    return Context(hosts=hosts, console=Console(rich.console.Console(file=out)), client_host=client, run="backup")


def test_every_action_shows_what_is_waited_for_and_so_does_its_undoing(out: io.StringIO) -> None:
    detached = until_shown(out, "detaching the disk")
    attach = Action("attach", until_shown(out, "attaching the disk through the tunnel"), "detach", detached)
    with context_on(out).performed([attach]):
        pass


def test_a_script_of_an_action_is_shown_in_the_action_s_own_line(out: io.StringIO) -> None:
    context = context_on(out, "copying /home")

    def copy() -> None:
        context.run_long(Script("copy", ""), [], "copying /home")
        until_shown(out, "copying")()

    with context.performed([Action("copy", copy)]):
        pass
    assert "/home" not in out.getvalue().partition("backup         copying  (")[2], "one line at a time"


def test_after_a_fault_the_next_action_has_its_own_words(out: io.StringIO) -> None:
    context = context_on(out)

    def fail() -> None:
        with context.under_way("copying /home"):
            raise WorkloadError("the disk is full", "make room")

    with pytest.raises(WorkloadError), context.performed([Action("copy", fail)]):
        pass
    with context.performed([Action("mount", until_shown(out, "mounting the file system"))]):
        pass
