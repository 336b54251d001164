"""What tests of encrypted-backup do on real kernels: tasks as a person types them, and looks at the client."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from contextlib import AbstractContextManager
from pathlib import Path

from inventory import Inventory
from lab.paths import PROJECT
from tests.workloads.fabric_task import fab
from workloads.encrypted_backup.context import Context, script
from workloads.encrypted_backup.passphrase import checked
from workloads.encrypted_backup.tasks import connected
from workloads.encrypted_backup.volume import Volume
from workloads.lease import LEASE_TIMEOUT_SECONDS

PASSPHRASE = "a passphrase for a test"
SOURCE, SEED = "/srv/data", "5eed"
VOLUME = "/run/tidemark-backup/volume"


def on_client(inventory: Path) -> AbstractContextManager[Context]:
    return connected(Inventory.from_json(inventory.read_text(), "test"), None, "test")


def succeeded(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stdout + done.stderr
    assert PASSPHRASE not in done.stdout + done.stderr
    return done.stdout


def refused(done: subprocess.CompletedProcess[str]) -> str:
    """The one line of a task that failed."""
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("tidemark: ")][-1:]
    return line


def shell(context: Context, command: str, host: str = "client") -> str:
    """What a command says on a host, as root."""
    lines: list[str] = []
    code, said = context.hosts.connector(host).execute(
        f"sudo -n bash -c '{command}'", lines.append, idle_timeout_seconds=120
    )
    assert code == 0, said
    return "\n".join(lines)


def nothing_is_open(context: Context) -> bool:
    """No mount, no mapping, no iSCSI session, no tunnel."""
    look = "grep -c tidemark-backup /proc/mounts; ls /dev/mapper; ls /sys/class/iscsi_session /sys/class/net; true"
    return set(shell(context, look).split()) <= {
        "0",
        "control",
        "lo",
        "vec0",
        "/sys/class/net:",
        "/sys/class/iscsi_session:",
    }


def digest(context: Context, directory: str) -> str:
    return str(context.client.run(script("host_tree_digest"), [directory]).facts[0]["digest"])


def names(words: list[str]) -> list[str]:
    """The snapshots there are, oldest first."""
    said = succeeded(fab("encrypted-backup.list", *words, COLUMNS="200"))
    return re.findall(r"^(\d{4}-\d\d-\d\dT\d{6}Z) ", said, re.MULTILINE)


def backed_up(said: str) -> str:
    """The snapshot that a backup says it has made."""
    (name,) = re.findall(r"backup +snapshot (\S+):", said)
    return str(name)


def in_process() -> Volume:
    return Volume(checked(PASSPHRASE.encode(), "a test"), stop_server=False)


def begun(words: list[str], until: str) -> subprocess.Popen[str]:
    """A backup that has come so far as to say that the step `until` is done."""
    command = [sys.executable, "-u", "-m", "fabric", "encrypted-backup.run", "--source", SOURCE, *words]
    task = subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert task.stdout is not None
    said = []
    for line in task.stdout:
        said.append(line)
        if re.match(rf"backup +{until} +done", line):
            return task
    raise AssertionError("".join(said))


def killed(context: Context, task: subprocess.Popen[str]) -> None:
    """Kills a run, and waits for its keeper to have undone what it left."""
    task.send_signal(signal.SIGKILL)
    task.communicate()
    log = "/run/tidemark-backup-keeper.log"
    deadline_s = time.monotonic() + LEASE_TIMEOUT_SECONDS + 180
    # The detaching says how much it changed, and then the keeper does.
    while shell(context, f"grep -c changed {log} 2> /dev/null; true") != "2":
        assert time.monotonic() < deadline_s, shell(context, f"cat {log}; true")
        time.sleep(1)
    shell(context, f"rm {log}")
    assert nothing_is_open(context)


def something_new(context: Context) -> None:
    """Something to copy that takes a while, in the place of what was."""
    shell(context, f"head -c 60000000 /dev/urandom > {SOURCE}/new")
