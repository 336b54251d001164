"""Which processes are left alone, each with one line."""

from __future__ import annotations

import os
import subprocess
import threading
from pathlib import Path

import pytest

from tests.workloads.throttle.real import read_numbers, shell, state_of, wait_until
from workloads.errors import WorkloadError
from workloads.throttle import run as runs
from workloads.throttle.processes import Identity, Stat, read_stat
from workloads.throttle.run import check_process, check_same

GONE = 2**22 + 1


def refusal(pid: int) -> str:
    with pytest.raises(WorkloadError) as refused:
        check_process(pid, measured=True)
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_a_process_of_ours_may_be_held_back() -> None:
    with shell("sleep 60; true") as process:
        stat = read_stat(process.pid)
        assert stat is not None
        assert check_process(process.pid, measured=True) == stat.identity


def test_a_pid_that_is_gone() -> None:
    assert refusal(GONE).startswith(f"pid {GONE} is gone; ")


def test_a_zombie() -> None:
    with subprocess.Popen(["true"]) as process:
        wait_until(lambda: state_of(process.pid) == "Z", "it does not end")
        assert "is gone" in refusal(process.pid)


def test_the_first_process() -> None:
    assert "pid 1 is the system's first process" in refusal(1)


def test_ourselves_and_who_has_started_us() -> None:
    assert "is this throttle itself" in refusal(os.getpid())
    assert "has started this throttle" in refusal(os.getppid()) or os.getppid() == 1


def test_a_thread_is_not_a_process() -> None:
    go_on = threading.Event()
    thread = threading.Thread(target=go_on.wait)
    thread.start()
    try:
        assert thread.native_id is not None
        assert refusal(thread.native_id).endswith(f"is a thread of process {os.getpid()}; name that one")
    finally:
        go_on.set()
        thread.join()


def test_a_thread_of_the_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    """A container shows none, so what /proc says of one is made up."""
    with shell("sleep 60; true") as process:
        monkeypatch.setattr(runs, "read_stat", lambda pid: Stat(pid, "kworker/0:1", "I", 2, 0x04208060, 1, 5))
        assert "(kworker/0:1) is a thread of the kernel" in refusal(process.pid)


def test_a_process_of_another_user(monkeypatch: pytest.MonkeyPatch) -> None:
    with shell("sleep 60; true") as process:
        monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 4321)
        assert f"belongs to user {os.getuid()}; run as that user or as root" in refusal(process.pid)
        monkeypatch.setattr(os, "geteuid", lambda: 0)
        assert check_process(process.pid, measured=True).pid == process.pid


def test_a_process_whose_connections_may_not_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(pid: int) -> set[int]:
        raise PermissionError

    monkeypatch.setattr(runs, "socket_inodes", denied)
    with shell("sleep 60; true") as process:
        assert "--stop and --run" in refusal(process.pid)
        assert check_process(process.pid, measured=False).pid == process.pid


def test_a_process_in_another_network_namespace() -> None:
    script = "unshare --user --map-root-user --net sh -c 'echo $$; sleep 60; true' || echo 0"
    with shell(script) as process:
        (inner,) = read_numbers(process, 1)
        if inner == 0:
            pytest.skip("this machine lets nobody make a network namespace")
        assert "is in another network namespace" in refusal(inner)
        assert check_process(inner, measured=False).pid == inner


def test_a_pid_that_was_reused_meanwhile() -> None:
    with shell("sleep 60; true") as process:
        now = check_process(process.pid, measured=False)
        check_same(now)
        with pytest.raises(WorkloadError, match=f"pid {process.pid} was reused: it is now sh; "):
            check_same(Identity(now.pid, now.start_ticks - 100))
    with pytest.raises(WorkloadError, match="has just ended"):
        check_same(now)
    assert not Path(f"/proc/{now.pid}").exists()
