"""Run directories as docs/interfaces.md ("Results") describes them, from a seeded generator."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from report.histogram import Histogram, merge
from tests.report.histograms import histogram_of_array, latency_json
from tests.report.made_once import made_once

Record = dict[str, Any]

STARTED_UNIX_S = 1_795_429_800.0  # 2026-11-23T10:30:00Z
MIB = 1 << 20
SERVERS, MIRRORS = 3, 5
STORAGE = [f"storage-{n}" for n in range(1, SERVERS + 1)]


def volume_id(server: int, volume: int) -> str:
    return f"vol-0c4f1e2d3b4a5{server * 7919 + volume * 104729:x}"


class RunBuilder:
    """Raw records of a whole md-raid run. Change the streams, then write()."""

    @made_once
    def __init__(self, *, rehearsal: bool = True, seed: int = 7, seconds: int = 4, brief: bool = False) -> None:
        """`brief`: a few cells of each kind, for what has nothing to do with their figures."""
        self.random = random.Random(seed)
        self.latencies = np.random.default_rng(seed)
        self.rehearsal = rehearsal
        self.seconds = seconds
        self.now = STARTED_UNIX_S + 95
        self.streams: dict[str, list[Record]] = {
            name: [] for name in ("cells", "worker", "arrays", "drill", "host", "proofs")
        }
        self.manifest = self._manifest()
        self._counters = dict.fromkeys([*STORAGE, "client"], (10_000_000, 10_000_000))
        self._proofs()
        self._arrays("configured", set())
        self._sweep(brief)
        self._drill()

    def write(self, results: Path, name: str = "2026-11-23T103000Z") -> Path:
        path: Path = results / "md-raid" / self.manifest["stack"] / name
        (path / "raw").mkdir(parents=True)
        (path / "manifest.json").write_text(json.dumps(self.manifest, indent=1))
        for stream, records in self.streams.items():
            (path / "raw" / f"{stream}.ndjson").write_bytes(msgspec.json.Encoder().encode_lines(records))
        return path

    def _manifest(self) -> Record:
        region = "eu-central-1"
        hosts = [self._host(f"storage-{s}", "storage", f"10.20.1.{9 + s}", s) for s in range(1, SERVERS + 1)]
        hosts.append(self._host("client", "client", "10.20.1.20", 0))
        stack = "md-raid.lab" if self.rehearsal else f"md-raid.{region}"
        return {
            "schema": 1,
            "experiment": "md-raid",
            "stack": stack,
            "region": region,
            "rehearsal": self.rehearsal,
            "started_at": "2026-11-23T10:30:00Z",
            "finished_at": "2026-11-23T10:34:12Z",
            "plan": {
                "name": "short",
                "measured_seconds": self.seconds,
                "stripes": [1, 2, 3, 4, 5],
                "raw": [{"servers": 1, "disks": 5}, {"servers": 3, "disks": 5}],
                "drill": {"data_bytes": 512 * MIB, "kill_seconds": 20},
            },
            "versions": {"tidemark": "0.1.0", "kernel": "6.1.0-41", "mdadm": "4.2", "debian": "12.12"},
            "inventory": {
                "schema": 1,
                "project": "tidemark",
                "stack": stack,
                "experiment": "md-raid",
                "region": region,
                "rehearsal": self.rehearsal,
                "expires_at": "2026-11-23T14:30:00Z",
                "network": {"mtu": 9001, "cidr": "10.20.0.0/16", "vpc_id": "vpc-0a1b2c3d"},
                "hosts": hosts,
            },
            "steps": [
                {"name": "limits", "seconds": 2.1, "changed": 0},
                {"name": "volumes", "seconds": 6.4, "changed": 15},
                {"name": "targets", "seconds": 11.8, "changed": 47},
                {"name": "sessions", "seconds": 9.2, "changed": 64},
                {"name": "arrays", "seconds": 7.7, "changed": 6},
                {"name": "sweep", "seconds": 88.0, "changed": None},
                {"name": "drill", "seconds": 97.5, "changed": None},
            ],
            "status": "complete",
            "reason": None,
        }

    def _host(self, name: str, role: str, private: str, server: int) -> Record:
        volumes = [
            {
                "id": volume_id(server, v),
                "device": f"/dev/sd{'fghij'[v - 1]}",
                "size_gib": 50,
                "type": "gp2",
                "iops": 150,
            }
            for v in range(1, MIRRORS + 1)
        ]
        return {
            "name": name,
            "role": role,
            "id": f"i-0{server}aa11bb22",
            "type": "c4.8xlarge",
            "zone": "eu-central-1a",
            "address": "127.0.0.1",
            "port": 22000 + server,
            "private_address": private,
            "host_keys": [],
            "cpu_limit": 4,
            "memory_limit_mib": 2048,
            "volumes": volumes if role == "storage" else [],
        }

    def _proofs(self) -> None:
        hosts = [*STORAGE, "client"]
        for source in hosts:
            for target in hosts:
                if source != target:
                    self._proof("mtu", source, target, "8973 bytes pass unfragmented, 8974 do not")
            self._proof("memory-limit", source, None, "1987 MiB of 2048")
            self._proof("cpu-limit", source, None, "4 of 4")
        for target in STORAGE:
            self._proof("closed-port", "client", target, "port 9999: no answer")
            self._proof("zeroed", target, None, "5 volumes read as zero at 64 offsets each")

    def _proof(self, name: str, source: str, target: str | None, detail: str) -> None:
        self.now += 0.2
        self.streams["proofs"].append(
            {
                "t_unix_s": self.now,
                "proof": name,
                "from": source,
                "to": target,
                "detail": detail,
                "passed": True,
            }
        )

    def _arrays(self, when: str, lost: set[str]) -> None:
        for m in range(1, MIRRORS + 1):
            legs = [
                {
                    "slot": s - 1,
                    "server": f"storage-{s}",
                    "volume": volume_id(s, m),
                    "state": "removed" if f"storage-{s}" in lost else "active sync",
                }
                for s in range(1, SERVERS + 1)
            ]
            self.streams["arrays"].append(
                {
                    "t_unix_s": self.now,
                    "when": when,
                    "array": f"md{m}",
                    "level": "raid10",
                    "layout": "o3",
                    "raid_devices": SERVERS,
                    "working": SERVERS - len(lost),
                    "state": "clean, degraded" if lost else "clean",
                    "size_bytes": 15 << 30,
                    "legs": legs,
                }
            )
        self.streams["arrays"].append(
            {
                "t_unix_s": self.now,
                "when": when,
                "array": "md99",
                "level": "raid0",
                "layout": None,
                "raid_devices": MIRRORS,
                "working": MIRRORS,
                "state": "clean",
                "size_bytes": 75 << 30,
                "legs": [
                    {"slot": m - 1, "state": "active sync", "device": f"/dev/md{m}"} for m in range(1, MIRRORS + 1)
                ],
            }
        )

    def _sweep(self, brief: bool) -> None:
        for pattern, request in (("sequential", MIB), ("random", 4096)):
            for mirrors in (MIRRORS,) if brief else range(MIRRORS, 0, -1):
                self.cell("stripe", pattern, SERVERS, SERVERS * mirrors, mirrors, request)
            self.cell("mirror", pattern, SERVERS, SERVERS, 1, request)
            for servers, disks in ((1, 1),) if brief else ((1, 1), (1, 5), (2, 5), (3, 1), (3, 3), (3, 5)):
                self.cell("raw", pattern, servers, servers * disks, None, request)

    def cell(self, layout: str, pattern: str, servers: int, disks: int, mirrors: int | None, request: int) -> None:
        name = f"{layout}-{mirrors or f'{servers}x{disks // servers}'}-{pattern}"
        raw = [f"/dev/mapper/raw{n}" for n in range(disks)]
        devices = {"stripe": ["/dev/md99"], "mirror": ["/dev/md1"], "raw": raw}[layout]
        threads = max(1, round((8 if pattern == "sequential" else 32) / len(devices)))
        started = self.now
        self.streams["cells"].append(
            {
                "cell": name,
                "layout": layout,
                "pattern": pattern,
                "servers": servers,
                "disks": disks,
                "mirrors": mirrors,
                "request_bytes": request,
                "depth": threads * len(devices),
                "threads_per_device": threads,
                "devices": devices,
                "started_unix_s": started,
                "complete": True,
                "reason": None,
            }
        )
        iops = self.model_iops(layout, pattern, disks)
        self.now += 0.3
        start = self.now
        self._worker(name, pattern, request, devices, threads, [iops] * self.seconds)
        saturated = self.rehearsal and disks >= 9
        busy = 0.985 if saturated else min(0.9, 0.25 + 0.06 * disks)
        self._host_seconds(start, self.seconds, servers, iops * request, busy)
        self.now += 0.4

    def model_iops(self, layout: str, pattern: str, disks: int) -> float:
        """Grows with the disks, up to what the client can take; md costs a little."""
        if pattern == "sequential":
            each, most = (38.0, 380.0) if self.rehearsal else (98.0, 1140.0)
        else:
            each, most = (210.0, 1900.0) if self.rehearsal else (260.0, 3600.0)
        rate: float = each * disks / (1 + (each * disks / most) ** 4) ** 0.25
        return rate * (1.0 if layout == "raw" else 0.88)

    def _worker(
        self,
        cell: str,
        pattern: str,
        request: int,
        devices: list[str],
        threads: int,
        rates: list[float],
        stall_s: float = 0.0,
    ) -> None:
        """A second for each rate; a rate of 0 is a second in which no read ended."""
        in_flight = threads * len(devices)
        whole: list[Histogram] = []
        first = self.now
        pending_stall = False
        for second, rate in enumerate(rates):
            ops = max(0, round(self.random.gauss(rate, rate * 0.03)))
            typical_ns = in_flight / rate * 1e9 if rate else 0.0
            samples = np.rint(typical_ns * self.latencies.lognormal(-0.06, 0.35, min(ops, 4000))).astype(np.int64)
            if pending_stall and len(samples):
                samples[: len(devices)] = round(stall_s * 1e9)
                pending_stall = False
            pending_stall = pending_stall or rate == 0
            histogram = histogram_of_array(samples)
            whole.append(histogram)
            self.streams["worker"].append(
                {
                    "schema": 1,
                    "kind": "interval",
                    "cell": cell,
                    "host": "client",
                    "second": second,
                    "t_start_unix_s": self.now,
                    "t_end_unix_s": self.now + 1,
                    "ops": histogram.count,
                    "bytes": histogram.count * request,
                    "errors": {},
                    "latency_ns": latency_json(histogram),
                }
            )
            self.now += 1
        merged = merge(whole)
        self.streams["worker"].append(
            {
                "schema": 1,
                "kind": "final",
                "cell": cell,
                "host": "client",
                "t_start_unix_s": first,
                "t_end_unix_s": self.now,
                "ops": merged.count,
                "bytes": merged.count * request,
                "errors": {},
                "latency_ns": latency_json(merged),
                "op": "read",
                "pattern": pattern,
                "size_bytes": request,
                "threads": threads,
                "files": devices,
                "t_first_unix_s": first + 0.001,
                "t_last_unix_s": self.now - 0.001,
            }
        )

    def _host_seconds(self, start: float, seconds: int, servers: int, bytes_per_s: float, client_busy: float) -> None:
        for second in range(seconds + 1):
            for host in [*STORAGE, "client"]:
                used = host == "client" or int(host[-1]) <= servers
                share = bytes_per_s if host == "client" else bytes_per_s / servers if used else 0
                rx, tx = self._counters[host]
                if second:
                    rx += int(share if host == "client" else share / 50)
                    tx += int(share / 50 if host == "client" else share)
                self._counters[host] = (rx, tx)
                busy = client_busy if host == "client" else 0.45 if used else 0.01
                self.streams["host"].append(
                    {
                        "t_unix_s": start + second,
                        "host": host,
                        "cpu_busy_ratio": min(1.0, max(0.0, self.random.gauss(busy, 0.005))),
                        "nic_rx_bytes": rx,
                        "nic_tx_bytes": tx,
                        "mem_available_bytes": 1_500 * MIB,
                    }
                )

    def _drill(self) -> None:
        rate = self.model_iops("stripe", "sequential", 15)
        devices = ["/dev/md99"]
        self._event("data-written", bytes=512 * MIB, sha256="9f2c" * 16, offset_bytes=0)
        self.now += 2
        self._event("reads-started")
        self._worker("drill-steady", "sequential", MIB, devices, 8, [rate] * 8)
        self._event("killed", host="storage-2")
        self._worker("drill-kill-1", "sequential", MIB, devices, 8, [rate, *[0] * 5, *[rate * 0.8] * 9], 5.3)
        for m in range(1, MIRRORS + 1):
            self._event("degraded", array=f"md{m}", working=2)
        self._arrays("killed-1", {"storage-2"})
        self._event("killed", host="storage-3")
        kill_2 = [rate * 0.8, *[0] * 6, *[rate * 0.5] * 9]
        self._worker("drill-kill-2", "sequential", MIB, devices, 8, kill_2, 6.1)
        self._arrays("killed-2", {"storage-2", "storage-3"})
        self._event("reads-finished", errors=0)
        # Written while two servers are away: what the mirrors must carry over to them.
        self._event("data-written", bytes=256 * MIB, sha256="4b07" * 16, offset_bytes=512 * MIB)
        self._event("verified", bytes=512 * MIB, matched=True, offset_bytes=0, when="degraded")
        self._event("verified", bytes=256 * MIB, matched=True, offset_bytes=512 * MIB, when="degraded")
        self.now += 9
        self._event("returned", host="storage-2")
        self.now += 1
        self._event("returned", host="storage-3")
        self._arrays("returned", {"storage-2", "storage-3"})
        self.now += 2
        for m in range(1, MIRRORS + 1):
            self._event("rebuild-started", array=f"md{m}")
            self.now += 0.4
        for m in range(1, MIRRORS + 1):
            self.now += 3 + self.random.random()
            started = next(e for e in self.streams["drill"][::-1] if e.get("array") == f"md{m}")
            seconds = round(self.now - started["t_unix_s"], 1)
            self._event("rebuilt", array=f"md{m}", seconds=seconds)
        self._arrays("rebuilt", set())
        self._event("verified", bytes=512 * MIB, matched=True, offset_bytes=0, when="rebuilt")
        self._event("verified", bytes=256 * MIB, matched=True, offset_bytes=512 * MIB, when="rebuilt")
        self._event("verified", bytes=2048 * MIB, matched=True, when="legs-compared")

    def _event(self, event: str, **fields: Any) -> None:
        self.now += 0.05
        self.streams["drill"].append({"t_unix_s": self.now, "event": event, **fields})
