"""Runs the mount target's front end, and holds both ends of what passes through it."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.conftest import free_port
from tests.lab import nfs_messages as nfs

SOURCE = Path(__file__).resolve().parents[2] / "lab/mount_target"
WAIT_SECONDS = 30.0
"""For what must come: far above the slowest, so that a busy machine fails nothing."""


def receive(connection: socket.socket, count: int) -> bytes:
    """So many bytes, or fewer if the stream ends."""
    got = bytearray()
    while len(got) < count and (chunk := connection.recv(count - len(got))):
        got += chunk
    return bytes(got)


def receive_record(connection: socket.socket) -> bytes:
    """With its mark, of one fragment; nothing if the stream ends."""
    mark = receive(connection, 4)
    return mark + receive(connection, int.from_bytes(mark, "big") & 0x7FFFFFFF)


def send_beside(connection: socket.socket, data: bytes, *, close: bool = False) -> threading.Thread:
    """Send it in a thread, which ends when all of it has been taken."""

    def send() -> None:
        connection.sendall(data)
        if close:
            connection.close()

    thread = threading.Thread(target=send, daemon=True)
    thread.start()
    return thread


def send_until_blocked(connection: socket.socket, record: bytes) -> int:
    """Send it again and again until nothing more is taken for half a second; how many bytes were."""
    connection.settimeout(0.5)
    sent = 0
    with contextlib.suppress(TimeoutError):
        while True:
            sent += connection.send(record[sent % len(record) :])
    connection.settimeout(WAIT_SECONDS)
    return sent


def has_ended(connection: socket.socket) -> bool:
    """That the other side has closed: it says so, or resets because something was still on its way."""
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


def reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


@dataclass(frozen=True)
class Pair:
    """A connection through the front end: the client's end, and the server's."""

    client: socket.socket
    server: socket.socket

    def __enter__(self) -> Pair:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()
        self.server.close()

    def settle(self) -> None:
        """What the client has sent before has arrived: an answer to a call of the server's, which is never held."""
        self.pass_on(nfs.record(nfs.null_reply(0)))

    def pass_on(self, data: bytes) -> None:
        """Bytes of the client's reach the server as they are."""
        self.client.sendall(data)
        assert receive(self.server, len(data)) == data

    def pass_back(self, data: bytes) -> None:
        """Bytes of the server's reach the client as they are."""
        self.server.sendall(data)
        assert receive(self.client, len(data)) == data


class Front:
    """One running front end. Its end is a test, too: exit code 0 and no word, so no sanitizer has found anything."""

    def __init__(self, binary: Path, listeners: int = 1, backlog: int = 128) -> None:
        self.server = socket.create_server(("127.0.0.1", 0), backlog=backlog)
        self.server.settimeout(WAIT_SECONDS)
        self.addresses = [("127.0.0.1", free_port()) for _ in range(listeners)]
        words = [word for host, port in self.addresses for word in ("--listen", f"{host}:{port}")]
        words += ["--upstream", f"127.0.0.1:{self.server.getsockname()[1]}"]
        self.process = subprocess.Popen(
            [str(binary), *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.seconds: list[dict[str, Any]] = []
        self._answers: queue.Queue[dict[str, Any]] = queue.Queue()
        self._reading = threading.Thread(target=self._read, daemon=True)

    def __enter__(self) -> Front:
        self.start_reading()
        assert self.answer() == {"kind": "ready"}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self.process.stdin is not None
        assert self.process.stderr is not None
        assert self.process.stdout is not None
        try:
            self.process.stdin.close()
            code = self.process.wait(WAIT_SECONDS)
            said = self.process.stderr.read()
        finally:
            self.process.kill()
            self.process.wait()
            self.server.close()
            self._reading.join(WAIT_SECONDS)
            self.process.stdout.close()
            self.process.stderr.close()
        assert (code, said) == (0, "")

    def start_reading(self) -> None:
        self._reading.start()

    def answer(self) -> dict[str, Any]:
        """The next line that is not a second's."""
        return self._answers.get(timeout=WAIT_SECONDS)

    def command(self, line: object) -> dict[str, Any]:
        """A line to its standard input, as JSON unless it is a string, and the answer."""
        self.send_line(line if isinstance(line, str) else json.dumps(line))
        return self.answer()

    def send_line(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def follow(self, **changes: int | None) -> None:
        """Hold to a model without delay and limits but for these."""
        fields: dict[str, int | None] = {"delay_ns": 0, "read_ops_per_s": None, "write_ops_per_s": None}
        model = fields | {"bytes_per_s": None, "metering_minimum_bytes": 1} | changes
        assert self.command({"model": model}) == {"kind": "model", "model": model}

    def follow_none(self) -> None:
        assert self.command({"model": None}) == {"kind": "model", "model": None}

    def connect(self, listener: int = 0) -> socket.socket:
        client = socket.create_connection(self.addresses[listener], timeout=WAIT_SECONDS)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return client

    def open(self, listener: int = 0) -> Pair:
        return self.accept(self.connect(listener))

    def accept(self, client: socket.socket) -> Pair:
        """The server's end of the oldest connection that it has not taken yet, which must be this client's."""
        server, _ = self.server.accept()
        server.settimeout(WAIT_SECONDS)
        server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return Pair(client, server)

    def counted(self) -> list[dict[str, Any]]:
        """The lines of all seconds, once those are there in which anything passed until now."""
        self.settle()
        now = time.time()
        self.wait_until(lambda seconds: bool(seconds) and seconds[-1]["t_unix_s"] > now)
        return list(self.seconds)

    def settle(self) -> None:
        """What has passed is counted: it does that before it turns to anything else, such as this line."""
        assert self.command("")["kind"] == "error"

    def stop(self) -> None:
        """By a signal, until SIGCONT; the kernel says when it has come to that."""
        self.process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self.process.pid, os.WSTOPPED | os.WNOWAIT)

    def cpu_seconds(self) -> float:
        """What it has used so far (proc(5), /proc/pid/stat: utime, stime)."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def wait_until(self, so: Callable[[list[dict[str, Any]]], bool]) -> None:
        """Until the lines of the seconds are so."""
        until = time.monotonic() + WAIT_SECONDS
        while not so(self.seconds):
            assert time.monotonic() < until, self.seconds[-3:]
            time.sleep(0.01)

    def _read(self) -> None:
        assert self.process.stdout is not None
        for text in self.process.stdout:
            line = json.loads(text)
            if line["kind"] == "second":
                self.seconds.append(line)
            else:
                self._answers.put(line)


NOTHING = {"count": 0, "failed": 0, "bytes": 0, "metered_sum": 0, "metered_min": None, "metered_max": None}


def added_up(seconds: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    """The counts of a kind over all of the seconds."""
    counts = [second[kind] for second in seconds]
    if kind == "other":
        return {"count": sum(each["count"] for each in counts)}
    return {name: sum(each[name] for each in counts) for name in ("count", "failed", "bytes", "metered_sum")} | {
        "metered_min": min((each["metered_min"] for each in counts if each["count"]), default=None),
        "metered_max": max((each["metered_max"] for each in counts if each["count"]), default=None),
    }


def check_seconds(seconds: list[dict[str, Any]]) -> None:
    """The fields of each line, one line a second."""
    assert seconds
    times = [second["t_unix_s"] for second in seconds]
    assert times == list(range(times[0], times[0] + len(times)))
    for second in seconds:
        assert set(second) == {"kind", "t_unix_s", "connections", "read", "write", "other"}
        assert set(second["other"]) == {"count"}
        for kind in ("read", "write"):
            counts = second[kind]
            assert set(counts) == set(NOTHING)
            if counts["count"] == 0:
                assert counts == NOTHING | {"failed": counts["failed"]}
            else:
                assert counts["metered_min"] * counts["count"] <= counts["metered_sum"]
                assert counts["metered_sum"] <= counts["metered_max"] * counts["count"]
                assert counts["bytes"] <= counts["metered_sum"]
