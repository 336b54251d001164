"""The management console's protocol, against a datagram server that answers as arch/um/drivers/mconsole_kern.c does."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.errors import LabError
from lab.kernel.uml import MAX_DATA_BYTES, mconsole


def reply(text: bytes, *, error: int = 0, more: bool = False) -> bytes:
    """As the kernel sends it: the length includes the final zero."""
    return struct.pack("=III", error, int(more), len(text) + 1) + text + b"\0"


class Console:
    """A host's side: keeps the requests it got, answers each with the packets it was given."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self.path = folder / "mconsole"
        self.requests: list[tuple[int, int, int, bytes]] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(self.path))
        self._threads: list[threading.Thread] = []

    def answer(self, *packets: bytes) -> None:
        """Take one request, in a thread."""

        def serve() -> None:
            request, sender = self._socket.recvfrom(4096)
            magic, version, length = struct.unpack_from("=IiI", request)
            self.requests.append((magic, version, length, request[12:]))
            for packet in packets:
                self._socket.sendto(packet, sender)

        self._threads.append(threading.Thread(target=serve, daemon=True))
        self._threads[-1].start()

    def close(self) -> None:
        for thread in self._threads:
            thread.join(5)
        self._socket.close()


@pytest.fixture
def console(tmp_path: Path) -> Iterator[Console]:
    made = Console(tmp_path / "i-0123")
    yield made
    made.close()


def test_one_command_is_one_packet_of_the_protocols_second_version(console: Console) -> None:
    console.answer(reply(b"OK 6.1.176\n"))
    assert mconsole(console.path, "version") == "OK 6.1.176"
    ((magic, version, length, data),) = console.requests
    assert (magic, version, length) == (0xCAFEBABE, 2, len("version"))
    assert data == b"version" + bytes(MAX_DATA_BYTES - len("version"))


def test_a_reply_of_several_packets_is_one_text(console: Console) -> None:
    console.answer(reply(b"a" * 500, more=True), reply(b"b" * 500, more=True), reply(b"c\n"))
    assert mconsole(console.path, "log") == "a" * 500 + "b" * 500 + "c"


def test_a_reply_shorter_than_it_says_is_what_came(console: Console) -> None:
    console.answer(struct.pack("=III", 0, 0, 512) + b"OK")
    assert mconsole(console.path, "version") == "OK"


def test_an_error_is_one_line_with_the_hosts_own_reason(console: Console) -> None:
    console.answer(reply(b"No such device\n", error=1))
    with pytest.raises(LabError, match=r"^mconsole i-0123: config: No such device$"):
        mconsole(console.path, "config ubd3=/x,,vol-1")


def test_an_error_without_a_reason_still_says_so(console: Console) -> None:
    console.answer(reply(b"", error=22))
    with pytest.raises(LabError, match=r"^mconsole i-0123: remove: 22$"):
        mconsole(console.path, "remove ubd3")


def test_a_host_that_does_not_answer_is_given_up_in_time(console: Console) -> None:
    console.answer()
    with pytest.raises(LabError, match=r"^mconsole i-0123: version: timed out$"):
        mconsole(console.path, "version", timeout_seconds=0.1)


def test_a_reply_that_is_no_reply_is_refused(console: Console) -> None:
    console.answer(b"OK")
    with pytest.raises(LabError, match=r"^mconsole i-0123: version: unpack_from requires"):
        mconsole(console.path, "version")


@pytest.mark.parametrize("there", [True, False])
def test_a_host_that_is_gone_is_one_line(tmp_path: Path, there: bool) -> None:
    folder = tmp_path / "i-0123"
    if there:
        folder.mkdir()
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as dead:
            dead.bind(str(folder / "mconsole"))
    with pytest.raises(LabError, match=r"^mconsole i-0123: version: .*(No such file|refused)"):
        mconsole(folder / "mconsole", "version")


def test_a_command_that_does_not_fit_is_refused_before_it_is_sent(tmp_path: Path) -> None:
    with pytest.raises(LabError, match=r"^mconsole i-0123: the command has 512 bytes, 511 fit$"):
        mconsole(tmp_path / "i-0123" / "mconsole", "x" * MAX_DATA_BYTES)


def test_a_path_longer_than_a_sockets_may_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / ("d" * 120) / "i-0123"
    folder.mkdir(parents=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as host, monkeypatch.context() as there:
        there.chdir(folder)
        host.bind("mconsole")

        def serve() -> None:
            _, sender = host.recvfrom(4096)
            host.sendto(reply(b"OK"), sender)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        assert mconsole(folder / "mconsole", "version") == "OK"
        thread.join(5)
