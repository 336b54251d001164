"""Processes as /proc shows them."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.workloads.throttle.real import is_stopped, read_numbers, shell, state_of, wait_until
from workloads.throttle import processes
from workloads.throttle.processes import Identity, ancestors, children, parse_stat, read_stat, send, socket_inodes

GONE = 2**22 + 1  # the kernel's greatest pid is 2**22


def stat_line(name: str, *, state: str = "S", flags: int = 4194304, threads: int = 1) -> str:
    before = f"4242 ({name}) {state} 17 4242 4242 0 -1 {flags} 1 2 3 4 5 6 7 8 20 0 {threads} 0 987654"
    return f"{before} 1000 200 18446744073709551615 1 1 0 0 0 0 0 0 0\n"


@given(st.text(st.characters(codec="utf-8", exclude_characters="\n"), min_size=1, max_size=15))
def test_a_name_may_be_anything(name: str) -> None:
    stat = parse_stat(stat_line(name))
    assert (stat.pid, stat.name, stat.state, stat.parent, stat.start_ticks) == (4242, name, "S", 17, 987654)


@pytest.mark.parametrize("name", ["(sd-pam)", "a) S 1 (b", ") R 0 0 0", "tmux: server"])
def test_a_name_does_not_pass_for_the_fields_after_it(name: str) -> None:
    assert parse_stat(stat_line(name)).name == name


def test_a_process_whose_first_thread_has_ended_goes_on() -> None:
    assert not parse_stat(stat_line("x", state="Z", threads=3)).ended
    assert parse_stat(stat_line("x", state="Z", threads=1)).ended
    assert not parse_stat(stat_line("x", state="T")).ended


def test_a_thread_of_the_kernel_is_told_by_its_flags() -> None:
    assert parse_stat(stat_line("kworker/0:1", flags=69238880)).of_kernel
    assert not parse_stat(stat_line("kworker/0:1")).of_kernel


def test_what_is_gone_is_none_or_nothing() -> None:
    assert read_stat(GONE) is None
    assert children(GONE) == []
    assert socket_inodes(GONE) == set()
    assert not send(Identity(GONE, 1), signal.SIGCONT)


def test_a_zombie_has_ended() -> None:
    with subprocess.Popen(["true"]) as process:
        wait_until(lambda: state_of(process.pid) == "Z", "it does not end")
        stat = read_stat(process.pid)
        assert stat is not None
        assert stat.ended


def test_children_of_all_threads_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the kernel has no lists of children, by looking at every process."""
    started: list[subprocess.Popen[bytes]] = []
    thread = threading.Thread(target=lambda: started.append(subprocess.Popen(["sleep", "60"])))
    thread.start()
    thread.join()
    started.append(subprocess.Popen(["sleep", "60"]))
    try:
        pids = {process.pid for process in started}
        assert pids <= set(children(os.getpid()))
        monkeypatch.setattr(processes, "_has_children_files", lambda: False)
        assert pids <= set(children(os.getpid()))
    finally:
        for process in started:
            process.kill()
            process.wait()


def test_ancestors_lead_to_the_first_process() -> None:
    with shell("sh -c 'echo $$; sleep 60'; true") as outer:
        (inner,) = read_numbers(outer, 1)
        found = ancestors(inner)
        assert found[:2] == [outer.pid, os.getpid()]
        assert found[-1] == 1 or os.getppid() == 0


def test_sockets_are_told_from_files_and_pipes() -> None:
    reading, writing = os.pipe()
    try:
        with socket.socket() as one, socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as other:
            found = socket_inodes(os.getpid())
            assert {os.fstat(one.fileno()).st_ino, os.fstat(other.fileno()).st_ino} <= found
            assert os.fstat(reading).st_ino not in found
    finally:
        os.close(reading)
        os.close(writing)


def test_a_signal_goes_to_the_process_that_was_meant_or_to_none() -> None:
    with shell("sleep 60; true") as process:
        stat = read_stat(process.pid)
        assert stat is not None
        another = Identity(process.pid, stat.start_ticks - 1)  # whose pid was used again
        assert not send(another, signal.SIGSTOP)
        assert not is_stopped(process.pid)
        assert send(stat.identity, signal.SIGSTOP)
        wait_until(lambda: is_stopped(process.pid), "SIGSTOP did not reach it")
