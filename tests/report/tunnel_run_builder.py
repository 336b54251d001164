"""Run directories of iscsi-tunnel, with figures that are easy to reckon with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec

from tests.report.histograms import histogram_of, latency_json

Record = dict[str, Any]
STARTED_UNIX_S = 1_795_429_800.0
MIB = 1 << 20
SIZE_BYTES = 80 << 30
# MiB/s of each cell: by path, operation and pattern.
RATES = {
    ("tunnel", "read", "sequential"): 80,
    ("tunnel", "write", "sequential"): 60,
    ("tunnel", "read", "random"): 8,
    ("direct", "read", "sequential"): 200,
    ("direct", "write", "sequential"): 150,
    ("direct", "read", "random"): 16,
}
SSH_RATES = {"read": 100, "write": 75}


class TunnelRunBuilder:
    """Raw records of a whole run. Change the streams, then write()."""

    def __init__(self) -> None:
        self.streams: dict[str, list[Record]] = {
            name: [] for name in ("attachments", "cells", "worker", "drill", "proofs")
        }
        host = {"type": "t3.micro", "zone": "eu-central-1a", "port": 22, "host_keys": [], "cpu_limit": None}
        volume = {"id": "vol-1", "device": "/dev/sdf", "size_gib": 80, "type": "gp3", "iops": 3000}
        names = ("server", "client", "third")
        self.manifest: Record = {
            "schema": 1,
            "experiment": "iscsi-tunnel",
            "stack": "iscsi-tunnel.lab",
            "region": "eu-central-1",
            "rehearsal": True,
            "started_at": "2026-11-23T10:30:00Z",
            "finished_at": "2026-11-23T10:32:00Z",
            "plan": {"name": "short"},
            "versions": {"python": "3.11"},
            "inventory": {
                "schema": 1,
                "stack": "iscsi-tunnel.lab",
                "network": {"mtu": 9001, "cidr": "10.20.0.0/16", "vpc_id": "vpc-1"},
                "hosts": [
                    host
                    | {
                        "name": name,
                        "role": name,
                        "id": f"i-{number}",
                        "address": f"192.0.2.{number}",
                        "private_address": f"10.20.1.{number}",
                        "memory_limit_mib": 512,
                        "volumes": [volume] if name == "server" else [],
                    }
                    for number, name in enumerate(names, 4)
                ],
            },
            "steps": [{"name": "run", "seconds": 40.0, "changed": None}],
            "status": "complete",
            "reason": None,
        }
        for number, ((path, op, pattern), rate) in enumerate(RATES.items()):
            self._cell(path, op, pattern, rate, STARTED_UNIX_S + 10 * number)
        for op, rate in SSH_RATES.items():
            cell = {"cell": f"ssh-{op}-sequential", "path": "ssh", "op": op, "pattern": "sequential"}
            figures = {"bytes": 3 * rate * MIB, "seconds": 3.0, "started_unix_s": STARTED_UNIX_S + 90}
            self.streams["cells"].append({**cell, **figures, "complete": True, "reason": None})
        self._attachments()
        self._proofs()
        self._drill()

    def write(self, results: Path) -> Path:
        path: Path = results / "iscsi-tunnel" / self.manifest["stack"] / "2026-11-23T103000Z"
        (path / "raw").mkdir(parents=True)
        (path / "manifest.json").write_text(json.dumps(self.manifest))
        for stream, records in self.streams.items():
            (path / "raw" / f"{stream}.ndjson").write_bytes(msgspec.json.Encoder().encode_lines(records))
        return path

    def _worker(self, cell: str, start: float, seconds: int, ops: int, size: int, longest_ns: int = 1_000_000) -> None:
        def document(kind: str, first: float, last: float, count: int) -> Record:
            latency = latency_json(histogram_of([500_000] * (count - 1) + [longest_ns])) if count else _EMPTY
            fields = {"schema": 1, "kind": kind, "t_start_unix_s": first, "t_end_unix_s": last, "ops": count}
            return {
                **fields,
                "bytes": count * size,
                "errors": {},
                "latency_ns": latency,
                "cell": cell,
                "host": "client",
            }

        for second in range(seconds):
            began = start + second
            self.streams["worker"].append({**document("interval", began, began + 1, ops // seconds), "second": second})
        final = document("final", start, start + seconds, ops)
        self.streams["worker"].append(final | {"op": "read", "pattern": "random", "threads": 4, "files": ["/dev/sda"]})

    def _cell(self, path: str, op: str, pattern: str, mib_per_s: int, start: float) -> None:
        name = f"{path}-{op}-{pattern}"
        size = 256 << 10 if pattern == "sequential" else 4096
        cell = {"cell": name, "path": path, "op": op, "pattern": pattern, "request_bytes": size, "depth": 8}
        self.streams["cells"].append({**cell, "started_unix_s": start, "complete": True, "reason": None})
        self._worker(name, start, 2, 2 * mib_per_s * MIB // size, size)

    def _attachments(self) -> None:
        for number in range(2):
            where = {"t_unix_s": STARTED_UNIX_S + number, "client": "client", "volume": "vol-1"}
            sizes = {"size_bytes": SIZE_BYTES, "expected_bytes": SIZE_BYTES, "block_bytes": 512, "mtu_bytes": 8800}
            device = "/dev/disk/by-id/wwn-0x6001405"
            attached = {**where, "event": "attached", "seconds": 7.0 + number, "changed": 5, "device": device, **sizes}
            detached = {**where, "event": "detached", "seconds": 2.0, "changed": 3, "gone": True}
            self.streams["attachments"] += [attached, detached]

    def _proofs(self) -> None:
        counts = {"ssh_packets": 100, "other_packets": 0, "readable_packets": 0, "unseen_packets": 0}
        for source, to in (("client", "server"), ("server", "client")):
            self._proof("ssh-only", source, to, "100 packets of SSH", counts)
        self._proof("listeners", "server", None, "port 3260 is listened on at 198.18.83.1:3260", {})
        self._proof("closed-port", "client", "server", "port 3260 is reached by no address", {"tried": 2, "reached": 0})
        self._proof("closed-port", "third", "server", "port 3260 is reached by no address", {"tried": 3, "reached": 0})
        self._proof("closed-port", "third", "server", "the tunnel's address by a route", {"tried": 1, "reached": 0})

    def _proof(self, kind: str, source: str, to: str | None, detail: str, figures: Record) -> None:
        fields = {"t_unix_s": STARTED_UNIX_S, "proof": kind, "from": source, "to": to, "detail": detail}
        self.streams["proofs"].append({**fields, "passed": True, **figures})

    def _drill(self) -> None:
        for number, (how, stall_s) in enumerate((("ssh-killed", 3.0), ("path-cut", 31.0))):
            start = STARTED_UNIX_S + 200 + 60 * number
            self._worker(f"drill-{how}", start, 5, 500, 4096, round(stall_s * 1e9))
            seen = {"errors": 0, "longest_stall_s": stall_s, "tunnel": "up", "session": "LOGGED_IN", "reads": 500}
            record = {"t_unix_s": start + 5, "event": how, "cut_at_unix_s": start + 2, **seen}
            self.streams["drill"].append(record)


_EMPTY: Record = {"count": 0, "sum": 0, "min": None, "max": None, "buckets": []}
