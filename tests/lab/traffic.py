"""Run on a host by `python3 - ROLE PORT [ADDRESS...]`: small questions or bulk over TCP, and what TCP had to repeat.

    serve       answers each question of 8 bytes, a number, with so many bytes
    questions   one byte, asked for each 5 ms for 10 s
    bulk        5 connections to each address, 100 MiB through each
    rate        5 connections to each address, 3 s after a warm-up of 1 s: bytes per second

Prints one JSON document: the longest answer in seconds, and how much each counter of the kernel grew.
"""

import json
import socket
import struct
import sys
import threading
import time
from pathlib import Path

COUNTERS = ("TCPLossProbes", "TCPLostRetransmit", "TCPSackRecovery", "TCPTimeouts", "RetransSegs")
QUESTION = struct.Struct(">Q")
MIB = 1 << 20


def counters() -> dict[str, int]:
    found: dict[str, str] = {}
    for path in ("/proc/net/snmp", "/proc/net/netstat"):
        lines = Path(path).read_text().splitlines()
        for names, values in zip(lines[::2], lines[1::2], strict=True):
            found.update(zip(names.split()[1:], values.split()[1:], strict=True))
    return {name: int(found[name]) for name in COUNTERS}


def serve(port: int) -> None:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("0.0.0.0", port))
    listener.listen(16)

    def answer(connection: socket.socket) -> None:
        payload = bytes(128 * 1024)
        while True:
            asked = connection.recv(QUESTION.size, socket.MSG_WAITALL)
            if len(asked) < QUESTION.size:
                return
            (left,) = QUESTION.unpack(asked)
            while left:
                left -= connection.send(payload[:left])

    while True:
        threading.Thread(target=answer, args=(listener.accept()[0],), daemon=True).start()


def connect(address: str, port: int) -> socket.socket:
    connection = socket.create_connection((address, port), 30)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def ask(connection: socket.socket, size: int, into: bytearray) -> float:
    """Seconds until the whole answer was there."""
    began = time.perf_counter()
    connection.sendall(QUESTION.pack(size))
    while size:
        got = connection.recv_into(into)
        if not got:
            raise SystemExit("the other side closed the connection")
        size -= got
    return time.perf_counter() - began


def questions(port: int, addresses: list[str]) -> float:
    connection, into = connect(addresses[0], port), bytearray(1)
    end, longest = time.monotonic() + 10, 0.0
    while time.monotonic() < end:
        longest = max(longest, ask(connection, 1, into))
        time.sleep(0.005)
    return longest


def bulk(port: int, addresses: list[str]) -> float:
    longest: list[float] = []

    def pull(address: str) -> None:
        connection, into = connect(address, port), bytearray(128 * 1024)
        longest.append(max(ask(connection, MIB, into) for _ in range(100)))

    threads = [threading.Thread(target=pull, args=(address,)) for address in addresses * 5]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if len(longest) != len(threads):
        raise SystemExit("a connection failed")
    return max(longest)


def rate(port: int, addresses: list[str]) -> float:
    counts: dict[socket.socket, int] = {}

    def pull(connection: socket.socket) -> None:
        into = bytearray(128 * 1024)
        connection.sendall(QUESTION.pack(1 << 40))
        while got := connection.recv_into(into):
            counts[connection] += got

    for address in addresses * 5:
        counts[connect(address, port)] = 0
    for connection in counts:
        threading.Thread(target=pull, args=(connection,), daemon=True).start()
    time.sleep(1)
    before, began = sum(counts.values()), time.perf_counter()
    time.sleep(3)
    return (sum(counts.values()) - before) / (time.perf_counter() - began)


def main() -> None:
    role, port = sys.argv[1], int(sys.argv[2])
    if role == "serve":
        serve(port)
    if role == "rate":
        print(json.dumps({"bytes_per_s": rate(port, sys.argv[3:])}))
        return
    before = counters()
    longest = {"questions": questions, "bulk": bulk}[role](port, sys.argv[3:])
    after = counters()
    print(json.dumps({"longest_s": longest, **{name: after[name] - before[name] for name in COUNTERS}}))


main()
