"""What processes move, read from the kernel, against what real loopback connections moved and against ss."""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import shutil
import socket
import struct
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.workloads.throttle.real import wait_until
from workloads.throttle.meter import FIRST_AGAIN_S, Meter
from workloads.throttle.sock_diag import Connection, DiagSocket

# Connection attempt and end count as a byte each.
SYN_AND_FIN = 2


@dataclass
class Pair:
    """A connection of this process with itself."""

    here: socket.socket
    there: socket.socket

    def send(self, count: int) -> None:
        """Sends from `here`, and reads it `there`."""
        for size in [65536] * (count // 65536) + [count % 65536]:
            self.here.sendall(bytes(size))
            left = size
            while left:
                left -= len(self.there.recv(left))

    @property
    def inode(self) -> int:
        return os.fstat(self.here.fileno()).st_ino

    def close(self) -> None:
        self.here.close()
        self.there.close()


@contextlib.contextmanager
def pair(family: socket.AddressFamily = socket.AF_INET) -> Iterator[Pair]:
    address = "::1" if family == socket.AF_INET6 else "127.0.0.1"
    with socket.create_server((address, 0), family=family) as listener:
        here = socket.create_connection(listener.getsockname()[:2])
        there, _ = listener.accept()
    made = Pair(here, there)
    try:
        yield made
    finally:
        made.close()


def loopback_addresses() -> set[str]:
    found = set()
    for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        with contextlib.suppress(OSError), socket.socket(family) as probe:
            probe.bind((address, 0))
            found.add(address)
    return found


@pytest.fixture(params=[socket.AF_INET, socket.AF_INET6], ids=["IPv4", "IPv6"])
def connected(request: pytest.FixtureRequest) -> Iterator[Pair]:
    if request.param == socket.AF_INET6 and "::1" not in loopback_addresses():
        pytest.skip("no IPv6 here")
    with pair(request.param) as made:
        yield made


@pytest.fixture
def diag() -> Iterator[DiagSocket]:
    with contextlib.closing(DiagSocket()) as opened:
        yield opened


def by_inode(connections: list[Connection], inode: int) -> Connection:
    (found,) = [each for each in connections if each.inode == inode]
    return found


def test_the_kernel_tells_what_was_sent_and_received(connected: Pair, diag: DiagSocket) -> None:
    connected.send(1_000_000)
    connected.there.sendall(bytes(5000))
    wait_until(lambda: by_inode(diag.dump(), connected.inode).unacked_bytes == 0, "not acknowledged")
    sender = by_inode(diag.dump(), connected.inode)
    receiver = by_inode(diag.dump(), os.fstat(connected.there.fileno()).st_ino)
    assert sender.family == connected.here.family
    assert struct.unpack_from("!HH", sender.endpoints) == (
        connected.here.getsockname()[1],
        connected.there.getsockname()[1],
    )
    assert 0 <= sender.acked_bytes - 1_000_000 <= SYN_AND_FIN
    assert sender.notsent_bytes == 0
    assert receiver.received_bytes == 1_000_000
    assert receiver.unread_bytes == 0
    assert sender.received_bytes == sender.unread_bytes == 5000


def test_what_lies_in_the_buffers_was_moved_by_the_process_not_yet_by_the_network(diag: DiagSocket) -> None:
    """The peer reads nothing, so the kernel holds back what its window has no room for."""
    with pair() as stuck:
        stuck.here.setblocking(False)
        written = 0
        with contextlib.suppress(BlockingIOError):
            while True:
                written += stuck.here.send(bytes(65536))
        sender = by_inode(diag.dump(), stuck.inode)
        assert 0 <= sender.process_bytes - written <= SYN_AND_FIN
        assert sender.unacked_bytes >= sender.notsent_bytes > 0
        assert sender.acked_bytes < written


def test_asking_for_one_connection_tells_the_same_as_a_dump(connected: Pair, diag: DiagSocket) -> None:
    known = by_inode(diag.dump(), connected.inode)
    connected.send(300_000)
    wait_until(lambda: diag.ask([known])[0].unacked_bytes == 0, "not acknowledged")
    assert diag.ask([known]) == [by_inode(diag.dump(), connected.inode)]


def test_many_are_asked_for_at_once_and_those_that_are_gone_are_left_out(diag: DiagSocket) -> None:
    with contextlib.ExitStack() as stack:
        pairs = [stack.enter_context(pair()) for _ in range(70)]  # more than go into one datagram
        inodes = {each.inode for each in pairs}
        known = [each for each in diag.dump() if each.inode in inodes]
        assert len(known) == 70
        for each in pairs[::2]:
            # The one that closes last has nothing to remember afterwards.
            each.there.close()
            each.here.close()
        wait_until(lambda: len(diag.ask(known)) == 35, "half of them should be missing")
        assert {each.inode for each in diag.ask(known)} == {each.inode for each in pairs[1::2]}


def test_a_dump_is_whole_whatever_is_only_remembered(diag: DiagSocket) -> None:
    """A connection that was closed at one end alone is remembered as FIN_WAIT2, without counts."""
    with contextlib.ExitStack() as stack:
        pairs = [stack.enter_context(pair()) for _ in range(200)]  # more than one datagram holds
        for each in pairs:
            each.here.close()
        kept = {os.fstat(each.there.fileno()).st_ino for each in pairs}
        for _ in range(5):
            assert kept <= {each.inode for each in diag.dump()}


def last_counts(diag: DiagSocket, count: int) -> Connection | None:
    """Those of a connection that has sent so much, if they come."""
    with pair() as made:
        known = by_inode(diag.dump(), made.inode)
        made.send(count)
        made.there.close()
        made.here.close()
        for _ in range(100):
            for ended in diag.ended():
                if ended.cookie == known.cookie:
                    return ended
            time.sleep(0.005)
    return None


def test_a_connection_s_last_counts_come_when_it_is_gone(diag: DiagSocket) -> None:
    """The kernel does not promise it: one of ten may be lost when others end connections by the hundred."""
    ended = [last_counts(diag, 123_456) for _ in range(10)]
    found = [each.acked_bytes for each in ended if each is not None]
    assert len(found) >= 5
    assert all(0 <= acked - 123_456 <= SYN_AND_FIN for acked in found)


def test_ss_shows_the_same(connected: Pair, diag: DiagSocket) -> None:
    if shutil.which("ss") is None:
        pytest.skip("no ss here (iproute2)")
    connected.send(777_777)
    connected.there.sendall(bytes(4321))
    wait_until(lambda: by_inode(diag.dump(), connected.inode).unacked_bytes == 0, "not acknowledged")
    ports = (connected.here.getsockname()[1], connected.there.getsockname()[1])
    ours = by_inode(diag.dump(), connected.inode)
    shown = subprocess.run(
        ["ss", "-tineH", f"sport = :{ports[0]} and dport = :{ports[1]}"], capture_output=True, text=True, check=True
    ).stdout

    def figure(pattern: str) -> int:
        found = re.search(pattern, shown)
        assert found is not None, shown
        return int(found[1])

    assert figure(r"bytes_acked:(\d+)") == ours.acked_bytes
    assert figure(r"bytes_received:(\d+)") == ours.received_bytes
    assert figure(r"ino:(\d+)") == ours.inode
    assert int(re.findall(r"sk:([0-9a-f]+)", shown)[0], 16) == ours.cookie
    assert shown.split()[1] == str(ours.unread_bytes)


def test_a_meter_counts_from_its_making_on(connected: Pair, diag: DiagSocket) -> None:
    connected.send(500_000)
    meter = Meter(diag)
    assert meter.search([os.getpid()], 0.0).network_bytes <= SYN_AND_FIN
    connected.send(200_000)
    # Both ends are this process's: it has sent and received each byte.
    wait_until(lambda: meter.read().network_bytes >= 400_000, "not counted")
    counts = meter.read()
    assert 0 <= counts.sent_bytes - 200_000 <= SYN_AND_FIN
    assert counts.received_bytes == 200_000


def test_a_new_connection_counts_whole_from_the_next_search_on(diag: DiagSocket) -> None:
    meter = Meter(diag)
    with pair() as made:
        made.send(10_000)
        assert meter.read().network_bytes == 0
        assert meter.search([os.getpid()], 1.0).process_bytes >= 20_000
        made.send(10_000)
        assert meter.read().process_bytes >= 40_000
    assert meter.search([os.getpid()], 2.0).process_bytes >= 40_000


def test_a_socket_that_is_connected_late_is_found_soon(diag: DiagSocket) -> None:
    meter = Meter(diag)
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket() as late:
        meter.search([os.getpid()], 0.0)
        late.connect(listener.getsockname())
        late.sendall(bytes(1000))
        assert meter.search([os.getpid()], FIRST_AGAIN_S).process_bytes >= 1000


def test_only_those_processes_are_counted(connected: Pair, diag: DiagSocket) -> None:
    """Not this one, whose connection moves, but one that has none."""
    meter = Meter(diag)
    with subprocess.Popen(["sleep", "60"]) as other:
        try:
            meter.search([other.pid], 0.0)
            connected.send(100_000)
            assert meter.search([other.pid], 1.0).process_bytes == 0
        finally:
            other.kill()


def counted_after_the_end(diag: DiagSocket, count: int) -> int:
    """What a meter has of a connection that sent so much after the last look at it, and was closed."""
    meter = Meter(diag)
    with pair() as made:
        meter.search([os.getpid()], 0.0)
        made.send(count)
        made.there.close()
        made.here.close()
        for _ in range(100):
            if meter.search([os.getpid()], 1.0).sent_bytes >= count:
                break
            time.sleep(0.005)
    return meter.read().sent_bytes


def test_a_closed_connection_keeps_its_last_bytes(diag: DiagSocket) -> None:
    counted = [counted_after_the_end(diag, 65_000) for _ in range(10)]
    assert sum(65_000 <= each <= 65_000 + 2 * SYN_AND_FIN for each in counted) >= 5


@pytest.mark.parametrize("how", ["RST", "disconnected"])
def test_a_connection_that_its_process_resets_keeps_its_bytes(diag: DiagSocket, how: str) -> None:
    """By a close with SO_LINGER 0, and by connect(AF_UNSPEC), which leaves the socket to be connected again."""
    meter = Meter(diag)
    with pair() as made:
        made.send(65_000)
        wait_until(lambda: meter.search([os.getpid()], 0.0).sent_bytes >= 65_000, "not acknowledged")
        before = meter.read()
        if how == "RST":
            made.here.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            made.here.close()
        else:
            disconnect(made.here)
        with contextlib.suppress(ConnectionResetError):
            assert made.there.recv(1) == b""
    after = []
    for look in range(20):
        time.sleep(0.005)
        after.append(meter.search([os.getpid()], 1.0 + look))
    received = after[-1].received_bytes - before.received_bytes  # a FIN, where the other end has sent one
    assert all(each.sent_bytes >= before.sent_bytes for each in after)
    assert all(0 <= each.process_bytes - before.process_bytes <= SYN_AND_FIN for each in after)
    assert received <= SYN_AND_FIN


def disconnect(connection: socket.socket) -> None:
    """connect(2) with AF_UNSPEC, which Python's own does not know."""
    address = struct.pack("=H14x", socket.AF_UNSPEC)
    assert ctypes.CDLL(None).connect(connection.fileno(), address, len(address)) == 0


def test_processes_whose_sockets_may_not_be_seen_are_named(diag: DiagSocket, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(pid: int) -> set[int]:
        raise PermissionError

    meter = Meter(diag)
    monkeypatch.setattr("workloads.throttle.meter.socket_inodes", denied)
    assert meter.search([42], 0.0).network_bytes == 0
    assert meter.unseen == {42}
