"""The provider for the real engine as a process: it ends with the engine that started it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from lab.paths import PROJECT
from lab.process import wait_until


def is_running(pid: int) -> bool:
    # An orphan that has ended may stay as a zombie where process 1 does not wait for it.
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z"


def test_it_ends_when_the_engine_was_killed() -> None:
    # As the engine does: it starts the provider in a process group of its own, and reads the port that it prints.
    engine = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import subprocess, sys\n"
            "provider = subprocess.Popen([sys.executable, '-m', 'lab.provider.engine', '127.0.0.1:1'],"
            " stdin=subprocess.PIPE, stdout=subprocess.PIPE, process_group=0)\n"
            "print(provider.pid, provider.stdout.readline().decode(), flush=True)\n"
            "provider.wait()\n",
        ],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert engine.stdout is not None
    provider, port = (int(word) for word in engine.stdout.readline().split())
    try:
        assert port > 0
        engine.kill()
        engine.wait()
        assert wait_until(lambda: not is_running(provider), timeout_seconds=30)
    finally:
        engine.kill()
        engine.stdout.close()
        if is_running(provider):
            os.kill(provider, signal.SIGKILL)
