"""Real processes and loopback connections for the tests, all of which end with the test."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from workloads.throttle.processes import children, read_stat

ROOT = Path(__file__).resolve().parents[3]
# Far above what anything here takes, on a machine that others use too.
PATIENCE_S = 120.0


def wait_until(condition: Callable[[], bool], what: str) -> None:
    """Fails with `what` when the condition does not come true."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.005)


def state_of(pid: int) -> str:
    """The letter of /proc/PID/stat; "gone" when there is none."""
    stat = read_stat(pid)
    return "gone" if stat is None else stat.state


def name_of(pid: int) -> str:
    """The program's name; "gone" when there is none."""
    stat = read_stat(pid)
    return "gone" if stat is None else stat.name


def is_stopped(pid: int) -> bool:
    return state_of(pid) == "T"


def descendants(pid: int) -> list[int]:
    """Children, their children, and so on; a parent before its children."""
    found: list[int] = []
    for child in children(pid):
        found += [child, *descendants(child)]
    return found


def is_held(pid: int) -> bool:
    """Whether a process stands. One that has just called vfork waits for its child instead, which stands."""
    return any(map(is_stopped, [pid, *descendants(pid)]))


@contextmanager
def shell(script: str) -> Iterator[subprocess.Popen[str]]:
    """`sh -c script` with pipes, in a process group of its own, all of which is killed in the end."""
    process = subprocess.Popen(
        ["sh", "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, process_group=0
    )
    with end_of_group(process):
        yield process


@contextmanager
def end_of_group(process: subprocess.Popen[str]) -> Iterator[None]:
    """Kills the process, which leads a group, and its group."""
    with process:
        try:
            yield
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def read_numbers(process: subprocess.Popen[str], count: int) -> list[int]:
    """So many lines of its output, a number each."""
    assert process.stdout is not None
    return [int(process.stdout.readline()) for _ in range(count)]


def hear_a_hangup() -> None:
    """In a child, before its program: what nohup started ignores SIGHUP, and so would the child."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def start_throttle(*arguments: object, stdin: int = subprocess.DEVNULL) -> subprocess.Popen[str]:
    """The throttle as a shell with job control starts it: leader of a process group, its parent in another one."""
    return subprocess.Popen(
        [sys.executable, "-m", "workloads.throttle", *map(str, arguments)],
        cwd=ROOT,
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        process_group=0,
        preexec_fn=hear_a_hangup,
    )


def run_throttle(*arguments: object, text: str | None = None) -> subprocess.CompletedProcess[str]:
    """The throttle until its end."""
    process = start_throttle(*arguments, stdin=subprocess.DEVNULL if text is None else subprocess.PIPE)
    try:
        output, words = process.communicate(text, timeout=PATIENCE_S)
    finally:
        process.kill()
    return subprocess.CompletedProcess(process.args, process.returncode, output, words)


class Sink:
    """Reads whatever comes to `port`; `bytes` counts it."""

    def __init__(self, family: socket.AddressFamily = socket.AF_INET) -> None:
        self._listener = socket.create_server(("::1" if family == socket.AF_INET6 else "127.0.0.1", 0), family=family)
        self.address: str = self._listener.getsockname()[0]
        self.port: int = self._listener.getsockname()[1]
        self.bytes = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._read, args=(connection,), daemon=True).start()

    def _read(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(ConnectionResetError):
            while piece := connection.recv(65536):
                self.bytes += len(piece)

    def close(self) -> None:
        self._listener.close()


@contextmanager
def sink(family: socket.AddressFamily = socket.AF_INET) -> Iterator[Sink]:
    opened = Sink(family)
    try:
        yield opened
    finally:
        opened.close()


def sender(port: int, total_bytes: int | None = None) -> list[str]:
    """A command that sends to a port of 127.0.0.1, for ever or so many bytes, as fast as about 15 MB/s."""
    program = f"""
import socket, time
left = {total_bytes}
with socket.create_connection(("127.0.0.1", {port})) as connection:
    while left is None or left > 0:
        block = bytes(16384 if left is None else min(left, 16384))
        connection.sendall(block)
        left = None if left is None else left - len(block)
        time.sleep(0.001)
    connection.shutdown(socket.SHUT_WR)
    connection.recv(1)
"""
    return [sys.executable, "-S", "-c", program]
