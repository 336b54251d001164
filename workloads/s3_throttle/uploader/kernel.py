"""Reads the kernel's counters while a sync runs: the interface's bytes, processor time, retransmitted segments."""

from __future__ import annotations

import os
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

PERIOD_S = 0.02  # five samples in 100 ms, the shortest window that is reported
# Fewer bytes in this time are no transfer.
SILENCE_S = 0.1
SILENT_BYTES = 15_000
SILENCE_AT_MOST_S = 5.0

SEND_BUFFERS = Path("/proc/sys/net/ipv4/tcp_wmem")
"""The minimum, default and maximum send buffer of new connections, in bytes (tcp(7))."""
# Beyond a VPC's internet gateway the MTU is 1500 (Amazon VPC, "Network maximum transmission unit"); Ethernet's header
# has 14 more.
FRAME_BYTES = 1514


@dataclass
class Samples:
    """Samples of an interface's counters; `t` is this host's clock."""

    t: list[float] = field(default_factory=list)
    tx: list[int] = field(default_factory=list)
    rx: list[int] = field(default_factory=list)
    again: list[int] = field(default_factory=list)  # segments, by TCP, of the whole host


def without_retransmissions(tx: list[int], again: list[int]) -> list[int]:
    """Returns the bytes sent, less a full frame for each retransmitted segment; never decreasing, although TCP counts a
    segment a moment before the interface does.
    """
    found: list[int] = []
    for sent, segments in zip(tx, again, strict=True):
        once = sent - (segments - again[0]) * FRAME_BYTES
        found.append(max(found[-1], once) if found else once)
    return found


class Interface:
    """The interface that has an address. Raises LookupError when there is none."""

    def __init__(self, address: str) -> None:
        said = subprocess.run(
            ["ip", "-brief", "-4", "address", "show", "to", address], capture_output=True, text=True, check=True
        ).stdout
        if not said.split():
            raise LookupError(f"no interface has the address {address}")
        self.name = said.split()[0].partition("@")[0]
        statistics = Path("/sys/class/net") / self.name / "statistics"
        self._files = [os.open(statistics / name, os.O_RDONLY) for name in ("tx_bytes", "rx_bytes")]
        self._snmp = os.open("/proc/net/snmp", os.O_RDONLY)
        self._shown = [0, 0]
        self._counted = [0, 0]
        self.forget()

    def forget(self) -> None:
        """Restarts the samples."""
        self.samples = Samples()
        self._next_s = 0.0
        # The clock at the beginning, and a monotonic one from then on: times must not go back.
        self._unix_minus_clock_s = time.time() - time.monotonic()

    def look(self) -> int:
        """Samples both counters; returns the bytes sent. A counter that was reset continues from its last value."""
        for number, file in enumerate(self._files):
            shown = int(os.pread(file, 32, 0))
            self._counted[number] += shown - self._shown[number] if shown >= self._shown[number] else shown
            self._shown[number] = shown
        sent, received = self._counted
        self.samples.t.append(round(time.monotonic() + self._unix_minus_clock_s, 4))
        self.samples.tx.append(sent)
        self.samples.rx.append(received)
        self.samples.again.append(segments_sent_again(os.pread(self._snmp, 65536, 0)))
        return sent

    def wait_for_silence(self) -> None:
        """Waits, for some seconds at most, until the buffers of closed sockets are sent."""
        deadline_s, sent = time.monotonic() + SILENCE_AT_MOST_S, -SILENT_BYTES
        while time.monotonic() < deadline_s and (now := self.look()) - sent >= SILENT_BYTES:
            sent = now
            time.sleep(SILENCE_S)

    def look_in_time(self) -> int:
        """Sleeps until the next sample is due, and takes it. Missed samples are skipped."""
        now_s = time.monotonic()
        self._next_s = max(self._next_s + PERIOD_S, now_s)
        time.sleep(self._next_s - now_s)
        return self.look()


def busy_ratio(before: tuple[int, int], after: tuple[int, int]) -> float | None:
    """Returns the busy share between two readings of `busy_and_total`. None where the ticks have not grown: iowait may
    decrease (proc_stat(5)).
    """
    busy, total = (later - earlier for earlier, later in zip(before, after, strict=True))
    return round(busy / total, 4) if total > 0 and 0 <= busy <= total else None


def busy_and_total() -> tuple[int, int]:
    """Returns the processors' busy ticks, and all ticks, since boot (proc_stat(5))."""
    words = Path("/proc/stat").read_text(encoding="ascii").split(maxsplit=9)[1:9]
    user, nice, system, idle, iowait, irq, softirq, steal = map(int, words)
    busy = user + nice + system + irq + softirq
    return busy, busy + idle + iowait + steal


def segments_sent_again(snmp: bytes) -> int:
    """Returns TCP's RetransSegs since boot (RFC 4022) from /proc/net/snmp."""
    names, values = (line.split() for line in snmp.splitlines() if line.startswith(b"Tcp:"))
    return int(values[names.index(b"RetransSegs")])


def limit_send_buffers(limit_bytes: int, kept: Path) -> None:
    """Limits the send buffers of new connections; keeps the previous sizes in a file."""
    before = SEND_BUFFERS.read_text(encoding="ascii")
    kept.write_text(before, encoding="ascii")
    least = min(int(before.split()[0]), limit_bytes)
    SEND_BUFFERS.write_text(f"{least} {limit_bytes} {limit_bytes}\n", encoding="ascii")


def restore_send_buffers(kept: Path) -> None:
    """Restores the kept sizes, also those of a killed run; does nothing where none are kept."""
    if kept.exists():
        SEND_BUFFERS.write_text(kept.read_text(encoding="ascii"), encoding="ascii")
        kept.unlink()


def cap(interface: str, bytes_per_s: int) -> None:
    """Limits the interface's rate, headers included."""
    # At least the bytes of a timer's tick (tc-tbf(8); 100 Hz here), and ten packets.
    burst = max(bytes_per_s // 100, 15_140)
    _tc("replace", interface, "tbf", "rate", f"{bytes_per_s * 8}bit", "burst", str(burst), "latency", "100ms")


def uncap(interface: str) -> None:
    """Removes the limit of `cap`, also that of a killed run; succeeds if there is none."""
    command = ["tc", "qdisc", "show", "dev", interface, "root"]
    shown = subprocess.run(command, capture_output=True, text=True, check=False)
    if shown.stdout.startswith("qdisc tbf"):
        _tc("delete", interface)


def _tc(verb: str, interface: str, *words: str) -> None:
    subprocess.run(["tc", "qdisc", verb, "dev", interface, "root", *words], check=True, capture_output=True, text=True)
