"""A whole run keeps every other one out until it ends, in whichever way; on this machine in the place of the hosts."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tests.workloads.fakes import inventory_document, inventory_of
from workloads.connectors.local import LocalConnector
from workloads.connectors.script import Script
from workloads.encrypted_backup import end_to_end
from workloads.encrypted_backup.context import Context, script
from workloads.encrypted_backup.drill import blank_host
from workloads.encrypted_backup.example import EXAMPLE
from workloads.encrypted_backup.passphrase import generate
from workloads.encrypted_backup.tasks import connected_for
from workloads.encrypted_backup.volume import Volume
from workloads.errors import WorkloadError
from workloads.lease import lease

HERE = LocalConnector("root")  # no sudo: these scripts do nothing that takes root
HOLDER = """
import sys, time
from pathlib import Path
from workloads.connectors.local import LocalConnector
from workloads.connectors.script import Script
from workloads.lease import lease
with lease(LocalConnector("root"), Script("claim", Path(sys.argv[1]).read_text()), ["the killed run"]):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def claim(tmp_path: Path) -> Script:
    """The script that claims a host, with its lock in a folder of the test."""
    text = script("host_claim").text.replace("/run/tidemark-backup.claim", f"{tmp_path}/claim")
    return Script("host_claim", text.replace("--timeout 5", "--timeout 2"))


class Ended(Exception):
    """Ends a run that has come so far."""


def test_a_second_whole_run_is_refused_by_name_until_the_first_has_ended(
    claim: Script, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The first one is between two of its actions, where nothing claims the server."""
    inventory = inventory_of(inventory_document())
    begun: list[str] = []

    def run(name: str) -> None:
        hosts = SimpleNamespace(connector=lambda host: HERE)
        context: Any = SimpleNamespace(hosts=hosts, client_name=name, run="sample")
        end_to_end.run_end_to_end(cast(Context, context), Volume(generate()), inventory.hosts[0], None, tmp_path)

    def sample(context: Context, *_: str) -> None:
        begun.append(context.client_name)
        if context.client_name == "first":
            with pytest.raises(WorkloadError, match=r"is under way: all for first by .* \(process \d+\)"):
                run("second")
        raise Ended

    monkeypatch.setattr(end_to_end, "script", lambda name: claim, raising=False)
    monkeypatch.setattr(end_to_end, "sample", sample)
    for name in ("first", "third"):
        with pytest.raises(Ended):
            run(name)
    assert begun == ["first", "third"]


def test_a_run_that_is_killed_keeps_no_other_out(claim: Script, tmp_path: Path) -> None:
    (tmp_path / "script").write_text(claim.text)
    task = subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path / "script")], stdout=subprocess.PIPE)
    assert task.stdout is not None
    assert task.stdout.readline() == b"held\n"
    with pytest.raises(WorkloadError, match="is under way: the killed run"), lease(HERE, claim, ["next"]):
        pytest.fail("it was not refused")
    task.send_signal(signal.SIGKILL)
    task.communicate()
    with lease(HERE, claim, ["next"]):
        pass


def test_the_machine_that_recovers_is_no_client() -> None:
    blank = blank_host(EXAMPLE).name
    request: Any = SimpleNamespace(inventory=EXAMPLE, options={"client": blank})
    with (
        pytest.raises(WorkloadError, match=f"--client {blank} is the machine"),
        connected_for(request, "drill", blank=True),
    ):
        pass
