"""Run directories of efs-iops as docs/interfaces.md ("Results") describes them, from a seeded generator.

One truth, a list of stretches of work on the runner's clock, is counted by each source in its own way: the workers by
their hosts' clocks, mountstats and the interfaces each second, CloudWatch each minute.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from report.histogram import Histogram, merge
from tests.report.histograms import histogram_of, latency_json
from tests.report.made_once import made_once

Record = dict[str, Any]

STARTED_UNIX_S = 1_795_429_800.0  # 2026-11-23T10:30:00Z
MIB = 1 << 20
CLIENTS = ("client-1", "client-2")
# The hosts' clocks less the runner's at the start, and what they gain in a second.
OFFSETS_S = {"client-1": -0.012, "client-2": 2.35}
DRIFTS = {"client-1": 0.0, "client-2": 2e-5}

DELAY_S = 0.007
BASE_S = {"read": 0.0003, "write": 0.0005}
LIMITS = {"read": 3500.0, "write": 3000.0}
BYTES_PER_S = 100.0 * MIB
METERED_LEAST_BYTES = 4096
HEADER_BYTES = 66
RPC_BYTES = {"read": (208, 132), "write": (224, 144)}  # of a call and a reply, without payload


@dataclass(frozen=True)
class Work:
    """Operations that ended evenly over a stretch of time, on the runner's clock."""

    host: str
    op: str
    size_bytes: int
    start_unix_s: float
    end_unix_s: float
    ops: int

    def until(self, t_unix_s: float) -> float:
        """Operations that had ended by then."""
        share = (t_unix_s - self.start_unix_s) / (self.end_unix_s - self.start_unix_s)
        return self.ops * min(1.0, max(0.0, share))


class EfsRunBuilder:
    """Raw records of a whole efs-iops run. Change the streams, then write().

    A rehearsal holds to the service model that it comes with. On AWS it does what the original experiment found.
    """

    @made_once
    def __init__(
        self,
        *,
        rehearsal: bool = True,
        seed: int = 7,
        seconds: int = 4,
        offsets_s: dict[str, float] = OFFSETS_S,
        brief: bool = False,
    ) -> None:
        """`brief`: a few cells of each kind, for what has nothing to do with their figures."""
        self.random = random.Random(seed)
        self.offsets_s = offsets_s
        self.rehearsal = rehearsal
        self.seconds = seconds
        self.now = STARTED_UNIX_S + 22
        self.streams: dict[str, list[Record]] = {
            name: [] for name in ("cells", "worker", "clocks", "mountstats", "host", "storage", "cloudwatch", "proofs")
        }
        self.work: list[Work] = []
        self.model: Record | None = self._service_model() if rehearsal else None
        self._prove()
        self._clocks()
        self._look_at_storage(files_bytes=0)
        self._sweep(brief)
        self._clocks()
        self.finished_unix_s = (self.now // 60 + 1) * 60 + 7
        self._sample()
        self._cloudwatch()
        self._look_at_storage(files_bytes=600 * MIB)
        self.manifest = self._manifest()

    def write(self, results: Path, name: str = "2026-11-23T103000Z") -> Path:
        path: Path = results / "efs-iops" / self.manifest["stack"] / name
        (path / "raw").mkdir(parents=True)
        (path / "manifest.json").write_text(json.dumps(self.manifest, indent=1))
        if self.model is not None:
            (path / "service-model.json").write_text(json.dumps(self.model))
        for stream, records in self.streams.items():
            (path / "raw" / f"{stream}.ndjson").write_bytes(msgspec.json.Encoder().encode_lines(records))
        return path

    def ops_per_s(self, op: str, size_bytes: int, writers: int, hosts: int) -> float:
        """What so many writers in total reach."""
        limit = LIMITS[op]
        if not self.rehearsal:
            if hosts == 1 and op == "write":
                limit = 1650.0
            one, twenty = 130.0, 1500.0 / 20
            offered = writers * (one if writers == 1 else twenty if hosts == 1 and op == "write" else 95.0)
        else:
            offered = writers / (DELAY_S + BASE_S[op])
        return min(offered, limit, BYTES_PER_S / size_bytes)

    def host_clock(self, host: str, t_unix_s: float) -> float:
        return t_unix_s + self.offsets_s[host] + DRIFTS[host] * (t_unix_s - STARTED_UNIX_S)

    def cell(self, op: str, pattern: str, size_bytes: int, writers: int, hosts: int) -> None:
        """`writers` on each of so many hosts."""
        name = f"{op}{'' if pattern == 'fixed' else f'-{pattern}'}-{size_bytes}-w{writers}-i{hosts}"
        start = float(int(self.now) + 1)
        names = list(CLIENTS[:hosts])
        self.streams["cells"].append(
            {
                "cell": name,
                "op": op,
                "pattern": pattern,
                "request_bytes": size_bytes,
                "writers": writers,
                "hosts": names,
                "span_bytes": 64 * MIB if pattern == "sequential" else None,
                "seconds": self.seconds,
                "start_unix_s": start,
                "complete": True,
                "reason": None,
                "lost_hosts": [],
            }
        )
        rate = self.ops_per_s(op, size_bytes, writers * hosts, hosts) / hosts
        for host in names:
            self._worker(name, host, op, pattern, size_bytes, writers, start, rate)
        self.now = start + self.seconds + 0.6

    def _sweep(self, brief: bool) -> None:
        for op in ("write", "read"):
            for size_bytes in (1024,) if brief else (1, 1024, 10000):
                for writers, hosts in ((1, 1), (20, 2)) if brief else ((1, 1), (20, 1), (40, 1), (20, 2), (40, 2)):
                    self.cell(op, "fixed", size_bytes, writers, hosts)
            for writers, hosts in ((4, 1),) if brief else ((4, 1), (8, 1), (4, 2)):
                self.cell(op, "sequential", MIB, writers, hosts)

    def _worker(
        self, cell: str, host: str, op: str, pattern: str, size_bytes: int, writers: int, start: float, rate: float
    ) -> None:
        """The last interval goes on until the operations that are under way have ended."""
        late = 0.002 if host == CLIENTS[0] else 0.009
        latency_s = writers / rate
        every: list[Histogram] = []
        begun = start + late
        for second in range(self.seconds):
            last = second == self.seconds - 1
            began, ended = begun + second, begun + second + 1 + (latency_s if last else 0)
            whole = self.random.gauss(rate, rate * 0.01) * (ended - began)
            ops = max(1, round(whole - (writers if second == 0 else 0)))
            histogram = self._latencies(ops, latency_s * 1e9)
            every.append(histogram)
            self.work.append(Work(host, op, size_bytes, began, ended, ops))
            self.streams["worker"].append(
                {
                    "schema": 1,
                    "kind": "interval",
                    "cell": cell,
                    "host": host,
                    "second": second,
                    "t_start_unix_s": self.host_clock(host, began),
                    "t_end_unix_s": self.host_clock(host, ended),
                    "ops": ops,
                    "bytes": ops * size_bytes,
                    "errors": {},
                    "latency_ns": latency_json(histogram),
                }
            )
        merged = merge(every)
        self.streams["worker"].append(
            {
                "schema": 1,
                "kind": "final",
                "cell": cell,
                "host": host,
                "t_start_unix_s": self.host_clock(host, begun),
                "t_end_unix_s": self.host_clock(host, ended),
                "ops": merged.count,
                "bytes": merged.count * size_bytes,
                "errors": {},
                "latency_ns": latency_json(merged),
                "op": op,
                "pattern": pattern,
                "size_bytes": size_bytes,
                "threads": 1,
                "files": [f"/mnt/efs/{host}/{n}" for n in range(writers)],
                "t_first_unix_s": self.host_clock(host, begun + 0.0004),
                "t_last_unix_s": self.host_clock(host, ended),
            }
        )

    def _latencies(self, ops: int, latency_ns: float) -> Histogram:
        """Forty latencies around it, of which each stands for its share of the operations."""
        kinds = min(ops, 40)
        drawn = [round(latency_ns * self.random.lognormvariate(0.0, 0.08)) for _ in range(kinds)]
        counts = [ops // kinds + (n < ops % kinds) for n in range(kinds)]
        one = histogram_of(drawn)
        buckets: dict[int, int] = {}
        for value, count in zip(drawn, counts, strict=True):
            index = next(iter(histogram_of([value]).buckets))
            buckets[index] = buckets.get(index, 0) + count
        total = sum(value * count for value, count in zip(drawn, counts, strict=True))
        return Histogram(ops, total, one.min_ns, one.max_ns, buckets)

    def _prove(self) -> None:
        for host in CLIENTS:
            self.now += 0.3
            self.streams["proofs"].append(
                {
                    "t_unix_s": self.now,
                    "proof": "mount-options",
                    "from": host,
                    "to": "fs-0a1b2c3d4e5f60718",
                    "detail": "vers=4.1, rsize=1048576, wsize=1048576, hard, timeo=600, retrans=2",
                    "passed": True,
                }
            )

    def _clocks(self) -> None:
        for host in CLIENTS:
            self.now += 0.1
            self.streams["clocks"].append(
                {
                    "t_unix_s": self.now,
                    "host": host,
                    "offset_s": self.host_clock(host, self.now) - self.now,
                    "uncertainty_s": 0.0011,
                }
            )

    def _look_at_storage(self, files_bytes: int) -> None:
        used = 12 * MIB + (files_bytes if self.rehearsal else 0)
        for _ in range(3):
            self.streams["storage"].append(
                {
                    "t_unix_s": self.now,
                    "host": CLIENTS[0],
                    "df_total_bytes": 512 * MIB,
                    "df_used_bytes": used,
                    "files_bytes": files_bytes,
                }
            )
            self.now += 5

    def _sample(self) -> None:
        """mountstats and the host's own counters, each second, from before the first cell to the end."""
        for number, host in enumerate(CLIENTS):
            mine = [work for work in self.work if work.host == host]
            t = STARTED_UNIX_S + 1.3 + 0.37 * number
            done: dict[tuple[str, int], int] = {}
            active: list[Work] = []
            waiting = sorted(mine, key=lambda work: work.start_unix_s, reverse=True)
            while t < self.finished_unix_s:
                while waiting and waiting[-1].start_unix_s < t:
                    active.append(waiting.pop())
                for work in [w for w in active if w.end_unix_s <= t]:
                    active.remove(work)
                    done[work.op, work.size_bytes] = done.get((work.op, work.size_bytes), 0) + work.ops
                counts = dict(done)
                for work in active:
                    key = (work.op, work.size_bytes)
                    counts[key] = counts.get(key, 0) + int(work.until(t))
                busy = sum((w.ops / (w.end_unix_s - w.start_unix_s)) for w in active) / 9000
                self._sample_once(host, t, counts, min(0.9, 0.02 + busy))
                t += 1.0

    def _sample_once(self, host: str, t: float, counts: dict[tuple[str, int], int], busy: float) -> None:
        age_s = int(t - STARTED_UNIX_S) + 20
        ops: Record = {"GETATTR": self._operation(40, 180 * 40, 240 * 40, 2.0)}
        payload = {"read": 0, "write": 0}
        wire, packets = 180 * 40 + 240 * 40, 80
        for op in ("read", "write"):
            of_op = {size: n for (each, size), n in counts.items() if each == op}
            operations = sum(of_op.values())
            payload[op] = sum(size * n for size, n in of_op.items())
            call, reply = (each * operations for each in RPC_BYTES[op])
            if op == "write":
                call += payload[op]
            else:
                reply += payload[op]
            wire += call + reply
            packets += sum(n * (2 + -(-size // 8900)) for size, n in of_op.items())
            if operations:
                ops[op.upper()] = self._operation(operations, call, reply, 7.4)
        clock = self.host_clock(host, t)
        self.streams["mountstats"].append(
            {
                "t_unix_s": clock,
                "host": host,
                "age_s": age_s,
                "bytes": {
                    "normal_read": 0,
                    "normal_write": 0,
                    "direct_read": payload["read"],
                    "direct_write": payload["write"],
                    "server_read": payload["read"],
                    "server_write": payload["write"],
                    "pages_read": 0,
                    "pages_written": 0,
                },
                "transport": {"protocol": "tcp", "sends": 1, "receives": 1, "bad_xids": 0},
                "ops": ops,
            }
        )
        self.streams["host"].append(
            {
                "t_unix_s": clock + 0.002,
                "host": host,
                "cpu_busy_ratio": round(busy, 4),
                "nic_rx_bytes": 5_000_000 + wire // 2 + packets // 2 * HEADER_BYTES,
                "nic_tx_bytes": 7_000_000 + wire - wire // 2 + (packets - packets // 2) * HEADER_BYTES,
                "nic_rx_packets": 9_000 + packets // 2,
                "nic_tx_packets": 9_000 + packets - packets // 2,
                "mem_available_bytes": 400 * MIB,
            }
        )

    def _operation(self, operations: int, sent: int, received: int, rtt_ms: float) -> Record:
        return {
            "operations": operations,
            "transmissions": operations,
            "major_timeouts": 0,
            "bytes_sent": sent,
            "bytes_received": received,
            "queue_ms": 0,
            "rtt_ms": round(operations * rtt_ms),
            "execute_ms": round(operations * (rtt_ms + 0.3)),
            "errors": 0,
        }

    def _cloudwatch(self) -> None:
        first, until = STARTED_UNIX_S // 60 * 60, self.finished_unix_s // 60 * 60
        credit = 2.1 * 1024**4
        minute = first
        while minute < until:
            percent = 0.0
            for op, metric in (("read", "DataReadIOBytes"), ("write", "DataWriteIOBytes")):
                parts = [
                    (work.size_bytes, work.until(minute + 60) - work.until(minute))
                    for work in self.work
                    if work.op == op
                ]
                parts = [(max(size, METERED_LEAST_BYTES), count) for size, count in parts if count > 0.5]
                count = round(sum(n for _, n in parts))
                if not count:
                    continue
                total = sum(size * n for size, n in parts) / sum(n for _, n in parts) * count
                sizes = [size for size, _ in parts]
                self._minute(minute, metric, "Bytes", count, round(total), min(sizes), max(sizes))
                full = LIMITS[op] if self.rehearsal or op == "read" else 2880 / 0.84
                percent += 100 * count / 60 / full
                credit -= total
            self._minute(minute, "PercentIOLimit", "Percent", 60, percent * 60, 0.0, min(100.0, percent * 1.4))
            self._minute(minute, "PermittedThroughput", "Bytes/Second", 60, BYTES_PER_S * 60, BYTES_PER_S, BYTES_PER_S)
            credit = min(2.1 * 1024**4, credit + 60 * MIB)
            self._minute(minute, "BurstCreditBalance", "Bytes", 60, credit * 60, credit, credit)
            self._minute(minute, "ClientConnections", "Count", 1, 2, 2, 2)
            minute += 60
        self.streams["cloudwatch"].append(
            {
                "kind": "asked",
                "from_unix_s": first,
                "until_unix_s": until,
                "asked_at_unix_s": self.finished_unix_s,
                "waited_s": 41.0,
                "reason": None,
            }
        )

    def _minute(
        self, t: float, metric: str, unit: str, count: int, total: float, least: float, greatest: float
    ) -> None:
        self.streams["cloudwatch"].append(
            {
                "kind": "minute",
                "metric": metric,
                "t_unix_s": t,
                "period_s": 60,
                "unit": unit,
                "statistics": {
                    "Sum": total,
                    "SampleCount": count,
                    "Minimum": least,
                    "Maximum": greatest,
                    "Average": total / count,
                },
            }
        )

    def _service_model(self) -> Record:
        return {
            "name": "efs-2018",
            "delay_seconds": DELAY_S,
            "read_ops_per_s": LIMITS["read"],
            "write_ops_per_s": LIMITS["write"],
            "bytes_per_s": BYTES_PER_S,
            "metering_minimum_bytes": METERED_LEAST_BYTES,
            "base_seconds": dict(BASE_S),
        }

    def _manifest(self) -> Record:
        region = "eu-central-1"
        stack = "efs-iops.lab" if self.rehearsal else f"efs-iops.{region}"
        finished = self.finished_unix_s - STARTED_UNIX_S
        hosts: list[Record] = [
            {
                "name": host,
                "role": "client",
                "id": f"i-0{n}cc33dd44",
                "type": "m4.xlarge",
                "zone": "eu-central-1a",
                "address": "127.0.0.1",
                "port": 22000 + n,
                "private_address": f"10.20.1.{10 + n}",
                "host_keys": [],
                "cpu_limit": None,
                "memory_limit_mib": 512 if self.rehearsal else None,
                "volumes": [],
            }
            for n, host in enumerate(CLIENTS)
        ]
        return {
            "schema": 1,
            "experiment": "efs-iops",
            "stack": stack,
            "region": region,
            "rehearsal": self.rehearsal,
            "started_at": "2026-11-23T10:30:00Z",
            "finished_at": f"2026-11-23T10:{30 + int(finished // 60):02d}:{int(finished % 60):02d}Z",
            "plan": {
                "name": "short",
                "seconds": self.seconds,
                "writers": [1, 20, 40],
                "request_bytes": [1, 1024, 10000],
            },
            "versions": {"tidemark": "0.1.0", "kernel": "6.1.0-41", "debian": "12.12"},
            "inventory": {
                "schema": 1,
                "project": "tidemark",
                "stack": stack,
                "experiment": "efs-iops",
                "region": region,
                "rehearsal": self.rehearsal,
                "expires_at": "2026-11-23T14:30:00Z",
                "network": {"mtu": 9001, "cidr": "10.20.0.0/16", "vpc_id": "vpc-0a1b2c3d"},
                "file_system": {
                    "id": "fs-0a1b2c3d4e5f60718",
                    "throughput_mode": "bursting",
                    "provisioned_mib_per_s": None,
                    "performance_mode": "generalPurpose",
                    "one_zone": None,
                    "mount_targets": [
                        {"id": "fsmt-0123456789abcdef0", "zone": "eu-central-1a", "address": "10.20.1.5"}
                    ],
                },
                "hosts": hosts,
            },
            "steps": [
                {"name": "packages", "seconds": 3.4, "changed": 0},
                {"name": "mount", "seconds": 2.2, "changed": 2},
                {"name": "sweep", "seconds": 198.0, "changed": None},
                {"name": "cloudwatch", "seconds": 41.0, "changed": None},
            ],
            "status": "complete",
            "reason": None,
        }
