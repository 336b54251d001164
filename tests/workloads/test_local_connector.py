"""This machine as one that scripts run on, and the script that stays to undo what a killed task has left."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.machine import wait_for
from workloads.connectors.local import LocalConnector
from workloads.connectors.script import END_OF_SCRIPT, Script
from workloads.encrypted_backup.context import script
from workloads.errors import WorkloadError
from workloads.lease import lease

# As root scripts need no sudo; these do nothing that takes root.
HERE = LocalConnector("root")


def said(text: str) -> Script:
    return Script("spoken", f"{text}\n{END_OF_SCRIPT}")


def test_facts_and_words_come_back_and_lines_are_shown_as_they_come() -> None:
    lines: list[str] = []
    text = 'echo "argument: $1"; echo words >&2; echo "{\\"changed\\": 3}"'
    result = HERE.run(said(text), ["it's \n odd"], locked=False, on_line=lines.append)
    assert result.stderr == "words\n"
    assert result.changed == 3
    assert lines == result.stdout.split("\n") == ["argument: it's ", " odd", '{"changed": 3}']


def test_a_secret_goes_over_standard_input_byte_for_byte(tmp_path: Path) -> None:
    secret = bytes(range(256))
    HERE.run(said(f"cat > {tmp_path}/secret"), locked=False, stdin=secret)
    assert (tmp_path / "secret").read_bytes() == secret


def test_a_script_that_fails_is_one_line() -> None:
    with pytest.raises(WorkloadError, match="this machine: no such disk; name another"):
        HERE.run(said('echo "tidemark-error: no such disk|name another" >&2; exit 1'), locked=False)


def test_a_script_that_falls_silent_is_given_up() -> None:
    began = time.monotonic()
    with pytest.raises(WorkloadError, match=r"spoken was silent for 0\.5 s"):
        HERE.run(said("echo one; exec sleep 60"), locked=False, idle_timeout_seconds=0.5)
    assert time.monotonic() - began < 40


def test_a_script_is_held_while_the_block_lasts_and_told_the_end(tmp_path: Path) -> None:
    text = f'echo ready; while IFS= read -r line; do [ -z "$line" ] || echo "$line" > {tmp_path}/told; done'
    with lease(HERE, said(text)):
        assert not (tmp_path / "told").exists()
    assert (tmp_path / "told").read_text() == "done\n"


def test_a_script_that_does_not_end_is_not_waited_for_as_one_that_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    """As that of a host which has died meanwhile."""
    monkeypatch.setattr("workloads.lease.END_SECONDS", 0.2)
    began = time.monotonic()
    with lease(HERE, said("echo ready; exec sleep 60")):
        pass
    assert time.monotonic() - began < 40


def test_a_script_that_refuses_to_stay_says_why() -> None:
    refusing = said('echo "tidemark-error: another one is at work|wait" >&2; exit 1')
    with pytest.raises(WorkloadError, match="another one is at work"), lease(HERE, refusing):
        pytest.fail("it was not held")


TASK = """
import sys, time
from pathlib import Path
from workloads.connectors.local import LocalConnector
from workloads.connectors.script import Script
from workloads.lease import lease
with lease(LocalConnector("root"), Script("keeper", Path(sys.argv[1]).read_text())):
    print("held", flush=True)
    time.sleep(60)
"""


def kept(tmp_path: Path, name: str) -> subprocess.Popen[bytes]:
    """A task, whose keeper does nothing but write down what it would."""
    instead = f"""
KEEPER={tmp_path}/keeper KEEPER_LOG={tmp_path}/log
release() {{ did {name} released; }}
detach() {{ did {name} detached; }}
"""
    text = script("client_keeper").text.replace("@DETACH@", instead)
    (tmp_path / name).write_text(text.replace("/run/tidemark.lock", str(tmp_path / "lock")))
    task = subprocess.Popen([sys.executable, "-c", TASK, str(tmp_path / name)], stdout=subprocess.PIPE)
    assert task.stdout is not None
    assert task.stdout.readline() == b"held\n"
    return task


def kill(task: subprocess.Popen[bytes]) -> None:
    os.kill(task.pid, signal.SIGKILL)
    task.communicate()


def undone(tmp_path: Path) -> list[str]:
    log = tmp_path / "log"
    return log.read_text().splitlines() if log.exists() else []


def test_the_keeper_of_a_killed_task_undoes_what_it_left(tmp_path: Path) -> None:
    """Nobody reads what it says by then: a line that can't be written must not end it."""
    kill(kept(tmp_path, "first"))
    wait_for("all is undone", lambda: '{"changed": 2}' in undone(tmp_path), 120)
    assert undone(tmp_path) == ["first released", "first detached", '{"changed": 2}']


def test_the_keeper_of_a_killed_task_leaves_the_next_one_alone(tmp_path: Path) -> None:
    """It waits for what is half done; by the time that has ended, the next run may be at work."""
    first = kept(tmp_path, "first")
    with (tmp_path / "lock").open("w") as half_done:
        fcntl.flock(half_done, fcntl.LOCK_EX)
        kill(first)
        second = kept(tmp_path, "second")
    kill(second)
    wait_for("all is undone", lambda: '{"changed": 2}' in undone(tmp_path), 120)
    assert undone(tmp_path) == ["second released", "second detached", '{"changed": 2}']
