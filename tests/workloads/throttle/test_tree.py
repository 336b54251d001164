"""Real trees of processes: found whole, stopped and continued together, and nothing else touched."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.workloads.throttle.real import is_stopped, read_numbers, shell, state_of, wait_until
from workloads.throttle import tree as tree_module
from workloads.throttle.processes import Identity
from workloads.throttle.tree import Member, Tree

# Three generations, each of which says its pid. A parent that has just called vfork can't stop before its child has
# called exec, so the last one here has no child of its own: when it has spoken, all of them can stop.
FAMILY = "echo $$; sh -c 'echo $$; sh -c \"echo \\$\\$; exec sleep 60\"; true'; true"


def ignore(_: object) -> None:
    """For calls back that a test does not look at."""


@contextmanager
def tree_of(
    *roots: int, announce: Callable[[Identity], None] = ignore, out_of_reach: Callable[[Member], None] = ignore
) -> Iterator[Tree]:
    tree = Tree(lambda: roots, announce, out_of_reach)
    try:
        yield tree
    finally:
        tree.close()


def names(directory: str) -> set[str]:
    return {path.name for path in Path(directory).iterdir()}


def all_stopped(pids: list[int]) -> bool:
    return all(is_stopped(pid) for pid in pids)


def test_all_generations_stop_and_go_on() -> None:
    with shell(FAMILY) as process:
        family = read_numbers(process, 3)
        with tree_of(process.pid) as tree:
            tree.stop()
            assert sorted(tree.pids) == sorted(family)
            wait_until(lambda: all_stopped(tree.pids), "not all of them stopped")
            tree.resume()
            assert not any(map(is_stopped, tree.pids))
            tree.stop()
            wait_until(lambda: all_stopped(tree.pids), "they stopped once only")
        assert not any(map(is_stopped, family))


def test_all_threads_stop_with_their_process() -> None:
    program = "import threading, time; threading.Thread(target=time.sleep, args=[60]).start(); print(1, flush=True)"
    with shell(f"exec python3 -c '{program}'") as process:
        read_numbers(process, 1)
        threads = [int(each) for each in names(f"/proc/{process.pid}/task")]
        assert len(threads) == 2
        with tree_of(process.pid) as tree:
            tree.stop()
            wait_until(lambda: all_stopped(threads), "a thread goes on")


def test_parents_stop_before_children_and_go_on_after_them(monkeypatch: pytest.MonkeyPatch) -> None:
    signals: list[tuple[int, int]] = []
    monkeypatch.setattr(tree_module, "_signal", lambda member, signum: signals.append((member.pid, signum)))
    with shell(FAMILY) as process:
        family = read_numbers(process, 3)
        with tree_of(process.pid) as tree:
            tree.stop()
            tree.resume()
    stopped = [pid for pid, signum in signals if signum == signal.SIGSTOP]
    continued = [pid for pid, signum in signals if signum == signal.SIGCONT]
    assert [pid for pid in stopped if pid in family] == family
    assert continued == stopped[::-1]


def test_what_is_started_later_is_found() -> None:
    with shell("while read word; do sleep 60 & echo $!; done") as process, tree_of(process.pid) as tree:
        assert process.stdin is not None
        tree.find()
        assert tree.pids == [process.pid]
        process.stdin.write("another\n")
        process.stdin.flush()
        (later,) = read_numbers(process, 1)
        tree.stop()
        wait_until(lambda: all_stopped([process.pid, later]), "the later one was not stopped")


def test_a_second_stop_catches_what_came_in_between() -> None:
    with shell("while read word; do sleep 60 & echo $!; done") as process, tree_of(process.pid) as tree:
        assert process.stdin is not None
        tree.stop()
        os.kill(process.pid, signal.SIGCONT)  # so that it can start one, as if SIGSTOP had come too late
        process.stdin.write("another\n")
        process.stdin.flush()
        (later,) = read_numbers(process, 1)
        assert not is_stopped(later)
        tree.stop()
        wait_until(lambda: is_stopped(later), "it was not stopped")
        tree.resume()
        assert not is_stopped(later)


def test_who_has_lost_its_parent_stays_in_the_tree() -> None:
    with shell("sh -c 'echo $$; sleep 60 & echo $!; wait'; sleep 60; true") as process:
        middle, orphan = read_numbers(process, 2)
        with tree_of(process.pid) as tree:
            tree.find()
            os.kill(middle, signal.SIGKILL)
            wait_until(lambda: state_of(middle) == "gone", "it does not end")
            tree.stop()
            assert orphan in tree.pids
            assert middle not in tree.pids
            wait_until(lambda: is_stopped(orphan), "the orphan goes on")
        assert not is_stopped(orphan)


def test_what_somebody_else_has_stopped_stays_stopped() -> None:
    with shell("sleep 60 & echo $!; sleep 60 & echo $!; wait") as process:
        theirs, ours = read_numbers(process, 2)
        os.kill(theirs, signal.SIGSTOP)
        wait_until(lambda: is_stopped(theirs), "SIGSTOP did not reach it")
        with tree_of(process.pid) as tree:
            for _ in range(3):
                tree.stop()
                wait_until(lambda: is_stopped(ours), "ours was not stopped")
                tree.resume()
                assert is_stopped(theirs)
                assert not is_stopped(ours)
            os.kill(theirs, signal.SIGCONT)
            tree.stop()
            wait_until(lambda: is_stopped(theirs), "continued by its owner, it is one of all again")
        assert not is_stopped(theirs)


def test_each_is_announced_once_and_before_it_is_stopped() -> None:
    announced: list[int] = []

    def announce(identity: Identity) -> None:
        assert not is_stopped(identity.pid)
        announced.append(identity.pid)

    with shell(FAMILY) as process:
        family = read_numbers(process, 3)
        with tree_of(process.pid, announce=announce) as tree:
            for _ in range(3):
                tree.stop()
                tree.resume()
            assert sorted(announced) == sorted(family)


def test_one_that_may_not_be_signalled_is_told_once_and_left(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[int] = []

    def denied(pidfd: int, signum: int) -> None:
        raise PermissionError

    with shell("sleep 60; true") as process:
        with tree_of(process.pid, out_of_reach=lambda member: told.append(member.pid)) as tree:
            with monkeypatch.context() as patched:
                patched.setattr(signal, "pidfd_send_signal", denied)
                tree.stop()
                tree.stop()
            assert sorted(told) == sorted(tree.pids)
        assert not is_stopped(process.pid)


def test_ended_ones_are_forgotten_and_no_descriptor_is_kept() -> None:
    def goes_and_comes(tree: Tree, process: subprocess.Popen[str]) -> None:
        assert process.stdin is not None
        process.stdin.write("another\n")
        process.stdin.flush()
        (child,) = read_numbers(process, 1)
        tree.stop()
        assert child in tree.pids
        os.kill(child, signal.SIGKILL)
        tree.resume()
        wait_until(lambda: state_of(child) in ("gone", "Z"), "it does not end")
        tree.find()
        assert tree.pids == [process.pid]

    with shell("while read word; do sleep 60 & echo $!; done") as process:
        before = len(names("/proc/self/fd"))
        with tree_of(process.pid) as tree:
            for _ in range(3):
                goes_and_comes(tree, process)
            assert len(names("/proc/self/fd")) == before + 1  # that of the shell
        assert len(names("/proc/self/fd")) == before
