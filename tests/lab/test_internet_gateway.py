"""The way into the region: a relay behind a Unix socket, and the ProxyCommand in front of it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import proxy_command
from lab.paths import PROJECT
from tests.conftest import free_port
from tests.machine import processes_with, wait_for
from workloads.connectors.proxy_socket import ProxySocket


@pytest.fixture(params=["short", "d" * 150], ids=["short path", "long path"])
def gateway(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[Path]:
    """The gateway in the namespace of this test, whose loopback is then its world."""
    folder = tmp_path / request.param
    folder.mkdir()
    monkeypatch.setenv("TIDEMARK_LAB_DIR", str(folder))
    with subprocess.Popen(
        [sys.executable, "-m", "lab.internet_gateway", str(folder / "gateway")],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield folder / "gateway"
        process.kill()


@pytest.fixture
def echo() -> Iterator[int]:
    """A TCP server that sends back what it gets, once the client has said that that was all."""

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                got = b""
                while chunk := connection.recv(65536):
                    got += chunk
                connection.sendall(got)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


def read_all(connection: socket.socket) -> bytes:
    got = b""
    while chunk := connection.recv(65536):
        got += chunk
    return got


def test_bytes_pass_both_ways_and_the_end_of_either_side_too(gateway: Path, echo: int) -> None:
    data = os.urandom(3_000_000)
    with proxy_command.connect("127.0.0.1", echo) as connection:

        def send() -> None:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)

        sender = threading.Thread(target=send)
        sender.start()
        assert read_all(connection) == data
        sender.join()


def test_several_at_once(gateway: Path, echo: int) -> None:
    connections = [proxy_command.connect("127.0.0.1", echo) for _ in range(10)]
    for number, connection in enumerate(connections):
        connection.sendall(b"%d" % number)
        connection.shutdown(socket.SHUT_WR)
    assert [read_all(connection) for connection in connections] == [b"%d" % number for number in range(10)]
    for connection in connections:
        connection.close()


def open_files(gateway: Path) -> int:
    """How many the gateway's process has."""
    (process,) = processes_with(str(gateway))
    return len(list((process / "fd").iterdir()))


def test_a_near_side_that_is_gone_ends_the_far_side_even_if_that_is_silent(gateway: Path) -> None:
    """A host whose power was cut never answers: the gateway must drop its connection, too."""
    before = open_files(gateway)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        near = proxy_command.connect("127.0.0.1", listener.getsockname()[1])
        far, _ = listener.accept()
        with far:
            near.shutdown(socket.SHUT_WR)
            assert far.recv(1) == b""
            far.sendall(b"still heard")  # half of a connection is enough to be answered
            assert near.recv(64) == b"still heard"
            assert open_files(gateway) == before + 2
            near.close()
            wait_for("the gateway closes both", lambda: open_files(gateway) == before, 120)


def test_only_its_owner_may_use_it(gateway: Path) -> None:
    assert gateway.stat().st_mode & 0o077 == 0


def test_a_port_that_nobody_listens_on_is_one_line(gateway: Path) -> None:
    port = free_port()
    with pytest.raises(OSError, match=rf"Connect call failed \('127.0.0.1', {port}\)") as fault:
        proxy_command.connect("127.0.0.1", port)
    assert "\n" not in str(fault.value)


@pytest.mark.parametrize("line", [b"\n", b"127.0.0.1\n", b"127.0.0.1 ssh\n", b"127.0.0.1 22 23\n", b"\xff 22\n"])
def test_a_first_line_that_is_wrong_gets_a_reason_and_the_gate_stays(gateway: Path, echo: int, line: bytes) -> None:
    folder = os.open(gateway.parent, os.O_PATH)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.connect(f"/proc/self/fd/{folder}/gateway")
        client.sendall(line)
        said = read_all(client)
    os.close(folder)
    assert said.count(b"\n") == 1
    assert not said.startswith(b"ok")
    with proxy_command.connect("127.0.0.1", echo) as connection:
        connection.shutdown(socket.SHUT_WR)
        assert read_all(connection) == b""


def proxy(port: int, data: bytes) -> subprocess.CompletedProcess[bytes]:
    """As SSH starts it."""
    return subprocess.run(
        [sys.executable, "-m", "lab.proxy_command", "127.0.0.1", str(port)],
        cwd=PROJECT,
        input=data,
        capture_output=True,
        timeout=120,
        check=False,
    )


def test_the_proxy_command_carries_what_it_is_given(gateway: Path, echo: int) -> None:
    data = os.urandom(500_000)
    done = proxy(echo, data)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout == data


def test_the_proxy_command_tells_when_it_has_connected(gateway: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        before = time.time()
        link = ProxySocket(f"{sys.executable} -m lab.proxy_command %h %p", "127.0.0.1", listener.getsockname()[1])
        connection, _ = listener.accept()
        with connection:
            wait_for("a time", lambda: link.connected_unix_s is not None, 120)
            assert before < (link.connected_unix_s or 0) < time.time()
        link.close()
        assert link.connected_unix_s is not None
    refused = ProxySocket(f"{sys.executable} -m lab.proxy_command %h %p", "127.0.0.1", free_port())
    assert read_all(refused.socket) == b""
    refused.close()
    assert refused.connected_unix_s is None


def test_the_proxy_command_says_why_not_in_one_line(gateway: Path) -> None:
    port = free_port()
    done = proxy(port, b"")
    assert done.returncode == 1
    assert done.stderr.startswith(f"lab.proxy_command: 127.0.0.1 port {port}: ".encode())
    assert done.stderr.count(b"\n") == 1


@pytest.mark.parametrize("there", [True, False], ids=["a folder", "no folder"])
def test_the_proxy_command_without_a_region_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: bool
) -> None:
    monkeypatch.setenv("TIDEMARK_LAB_DIR", str(tmp_path if there else tmp_path / "none"))
    done = proxy(22, b"")
    assert done.returncode == 1
    assert b"is the region up? (fab lab.status)" in done.stderr
    assert done.stderr.count(b"\n") == 1


def test_a_proxy_command_whose_ssh_is_gone_ends(gateway: Path) -> None:
    """SSH closes both pipes when it is done; what still arrives then must not end in a traceback."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with subprocess.Popen(
            [sys.executable, "-m", "lab.proxy_command", "127.0.0.1", str(port)],
            cwd=PROJECT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            assert process.stderr is not None
            connection, _ = listener.accept()
            process.stdout.close()
            with connection:
                connection.sendall(b"too late")
                process.wait(10)
            assert process.stderr.read() == b""
