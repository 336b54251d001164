"""How well the throttle holds a rate: its closed loop against the original's duty cycle, on real loopback connections.

    python -m bench.throttle [--seconds 10] [--connections 4] [--ratios 0.05 0.5 0.95]
    python -m bench.throttle --growth 1 10 100 1000 10000 [--seconds 10]

Two kinds of transfer. "program": the sender is what limits, it spends a millisecond on each 64 KiB. "link": the
sender is as fast as memory, and the sink reads 50 MB/s, as a network would let through; what is in the socket buffers
goes on while the sender stands still, which makes a duty cycle move more than it promises. For each, the free rate is
measured first; targets are ratios of it. The duty cycle gets the original's period of a second, with run / (run +
stop) = the ratio.

Printed, from the throttle's own reports: the mean over the target; the standard deviation of one-second windows, in
percent of the target; the largest 100 ms, in multiples of what 100 ms of the target are; what the throttle costs, in
percent of a processor. The first second, with the burst before anything is known of the process, is in all of them.

With --growth: how the cost grows with the number of connections, of which four move data ("program", at half its free
rate). Printed: CPU time of one reading of the counters, and of one search for new connections, alone and divided by
the number of connections; then the throttle's cost and its mean over the target.
"""

from __future__ import annotations

import json
import resource
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.measure import ROOT, argument_parser
from workloads.throttle.meter import Meter
from workloads.throttle.processes import socket_inodes
from workloads.throttle.sock_diag import DiagSocket

THIS = (sys.executable, "-m", "bench.throttle")
CHUNK_BYTES = 65536
CHUNK_WORK_S = 0.001
LINK_BYTES_PER_S = 50e6
# About what a connection has that has moved some megabytes over a network of 100 Mbit/s and 20 ms.
LINK_BUFFER_BYTES = 256 * 1024
FREE_SECONDS = 3.0


@dataclass(frozen=True)
class Transfer:
    """A sender and a sink; `limit_bytes_per_s` is what the sink's connections take together, None: all they can."""

    limit_bytes_per_s: float | None
    connections: int
    idle: int = 0  # connections besides, which move nothing

    def command(self, port: int, seconds: float) -> list[str]:
        work_s, buffer_bytes = (CHUNK_WORK_S, 0) if self.limit_bytes_per_s is None else (0.0, LINK_BUFFER_BYTES)
        numbers = (port, seconds, self.connections, self.idle, work_s, buffer_bytes)
        return [*THIS, "--send", *map(str, numbers)]


def allow_many_files() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def send(port: int, seconds: float, connections: int, idle: int, work_s: float, buffer_bytes: int) -> None:
    """Sends, with a thread for each connection; prints how many bytes and seconds."""
    allow_many_files()
    held = [socket.create_connection(("127.0.0.1", port)) for _ in range(idle)]
    counts = [0] * connections
    deadline = time.monotonic() + seconds

    def one(number: int) -> None:
        with socket.socket() as connection:
            if buffer_bytes:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer_bytes)
            connection.connect(("127.0.0.1", port))
            block = bytes(CHUNK_BYTES)
            while time.monotonic() < deadline:
                connection.sendall(block)
                counts[number] += len(block)
                if work_s:
                    time.sleep(work_s)

    began = time.monotonic()
    threads = [threading.Thread(target=one, args=(number,)) for number in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(sum(counts), time.monotonic() - began)
    for connection in held:
        connection.close()


def take(limit_bytes_per_s: float | None, connections: int, idle: int) -> None:
    """Prints its port, and reads for ever; of each sender the first `idle` connections are only held."""
    allow_many_files()
    held: list[socket.socket] = []
    with socket.socket() as listener:
        if limit_bytes_per_s is not None:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, LINK_BUFFER_BYTES)
        listener.bind(("127.0.0.1", 0))
        listener.listen(4096)
        print(listener.getsockname()[1], flush=True)
        while True:
            connection, _ = listener.accept()
            if len(held) < idle:
                held.append(connection)
                continue
            share = None if limit_bytes_per_s is None else limit_bytes_per_s / connections
            threading.Thread(target=_read_all, args=(connection, share), daemon=True).start()


def _read_all(connection: socket.socket, bytes_per_s: float | None) -> None:
    buffer = bytearray(CHUNK_BYTES)
    free_at = time.monotonic()  # when a link of this rate would have carried all that was read
    while count := connection.recv_into(buffer):
        if bytes_per_s is not None:
            free_at = max(free_at, time.monotonic() - 0.01) + count / bytes_per_s
            time.sleep(max(0.0, free_at - time.monotonic()))


@contextmanager
def sink(transfer: Transfer) -> Iterator[int]:
    command = [*THIS, "--take", str(transfer.limit_bytes_per_s or 0), str(transfer.connections)]
    command.append(str(transfer.idle))
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None  # asked for above
            yield int(process.stdout.readline())
        finally:
            process.kill()


def free_rate(transfer: Transfer, port: int) -> float:
    done = subprocess.run(transfer.command(port, FREE_SECONDS), cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    count, seconds = done.stdout.split()
    return int(count) / float(seconds)


def throttled(pace: list[str], transfer: Transfer, port: int, seconds: float) -> dict[str, Any]:
    """Runs a transfer under the throttle; returns the throttle's report."""
    with tempfile.TemporaryDirectory(prefix="tidemark-bench-") as directory:
        report = Path(directory) / "report.json"
        command = [sys.executable, "-m", "workloads.throttle", *pace, "--report", str(report), "--"]
        command += transfer.command(port, seconds)
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise SystemExit(f"bench/throttle.py: the throttle ended with {done.returncode}: {done.stderr.strip()}")
        found: dict[str, Any] = json.loads(report.read_text())
        return found


def cpu_of_one(act: Callable[[], object], seconds: float = 1.0) -> float:
    """Returns the CPU seconds of one call, of as many as fit into a second, and at least three."""
    count = 0
    began_s, cpu_s = time.monotonic(), time.process_time()
    while count < 3 or time.monotonic() - began_s < seconds:
        act()
        count += 1
    return (time.process_time() - cpu_s) / count


def cost_of_reading(transfer: Transfer) -> tuple[float, float]:
    """Returns the CPU seconds of one reading of a sender's counters, and of one search for its connections."""
    with (
        sink(transfer) as port,
        subprocess.Popen(transfer.command(port, 1e6), cwd=ROOT, stdout=subprocess.DEVNULL) as sender,
        closing(DiagSocket()) as diag,
    ):
        try:
            meter = Meter(diag)
            while len(socket_inodes(sender.pid)) < transfer.connections + transfer.idle:
                time.sleep(0.1)
            meter.search([sender.pid], time.monotonic())
            return cpu_of_one(meter.read), cpu_of_one(lambda: meter.search([sender.pid], time.monotonic()))
        finally:
            sender.kill()


def grow(connections: int, seconds: float) -> str:
    """Returns a row of the table that --growth prints."""
    active = min(connections, 4)
    transfer = Transfer(None, active, connections - active)
    read_s, search_s = cost_of_reading(transfer)
    with sink(Transfer(None, active)) as port:
        target = free_rate(Transfer(None, active), port) / 2
    with sink(transfer) as port:
        report = throttled(["--rate", f"{target:.0f} B/s"], transfer, port, seconds)
    mean = report["mean_bytes_per_s"]
    return (
        f"{connections:>12} {read_s * 1e3:>10.3f} {read_s / connections * 1e6:>10.1f} {search_s * 1e3:>10.3f}"
        f" {search_s / connections * 1e6:>10.1f} {report['cpu_s'] / report['seconds']:>10.1%}"
        f" {'too short' if mean is None else f'{mean / target:.1%}':>10}"
    )


def row(name: str, report: dict[str, Any], target: float) -> str:
    mean, deviation = report["mean_bytes_per_s"], report["window_std_bytes_per_s"]
    if mean is None:
        return f"{name:<24} too short to say"
    burst = report["largest_100_ms_bytes"] / target * 10
    return (
        f"{name:<24} {mean / target:>8.1%} {deviation / target:>8.1%} {burst:>8.2f}"
        f" {report['stops'] / report['seconds']:>8.1f} {report['longest_pause_s'] or 0:>8.3f}"
        f" {report['cpu_s'] / report['seconds']:>8.1%}"
    )


def main() -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--connections", type=int, default=4)
    parser.add_argument("--growth", type=int, nargs="+", help="numbers of connections")
    parser.add_argument("--ratios", type=float, nargs="+", default=[0.05, 0.25, 0.5, 0.75, 0.95])
    options = parser.parse_args()
    if options.growth:
        names = ("read ms", "us each", "search ms", "us each", "cost", "mean")
        print(f"{'connections':>12}", *(f"{name:>10}" for name in names))
        for connections in options.growth:
            print(grow(connections, options.seconds), flush=True)
        return
    for name, limit in (("program", None), ("link", LINK_BYTES_PER_S)):
        transfer = Transfer(limit, options.connections)
        with sink(transfer) as port:
            free = free_rate(transfer, port)
            print(f"\n{name}: {options.connections} connections, free rate {free / 1e6:.1f} MB/s")
            print(f"{'':<24} {'mean':>8} {'std':>8} {'burst':>8} {'stops/s':>8} {'longest':>8} {'cost':>8}")
            for ratio in options.ratios:
                target = free * ratio
                paces = {
                    "closed loop": ["--rate", f"{target:.0f} B/s"],
                    "duty cycle": ["--stop", f"{1 - ratio:.3f}", "--run", f"{ratio:.3f}"],
                }
                for pace, arguments in paces.items():
                    report = throttled(arguments, transfer, port, options.seconds)
                    print(row(f"{ratio:.0%} {pace}", report, target), flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--send"]:
        port, seconds, connections, idle, work_s, buffer_bytes = sys.argv[2:]
        send(int(port), float(seconds), int(connections), int(idle), float(work_s), int(buffer_bytes))
    elif sys.argv[1:2] == ["--take"]:
        take(float(sys.argv[2]) or None, int(sys.argv[3]), int(sys.argv[4]))
    else:
        main()
