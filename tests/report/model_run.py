"""A rehearsal of md-raid whose hosts do what a service model lets them: any number of servers, counters and all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec

from tests.report.histograms import histogram_of, latency_json
from tests.report.run_builder import MIB, STARTED_UNIX_S, Record, RunBuilder, volume_id

SAMPLES_PER_SECOND = 4
MODEL: Record = {
    "kind": "block-storage",
    "name": "made-up",
    "scale": 10,
    "instance": [{"type": "c4.8xlarge", "network_bytes_per_s": 700_000_000, "ebs_bytes_per_s": 300_000_000}],
    "volume": [{"type": "gp2", "bytes_per_s": 70_000_000, "ops_per_s": 2000, "op_bytes": 262_144}],
}


class ModelRun:
    """Cells at their model's rates: `cell` adds one. Rates are of the model at its scale, in bytes a second."""

    def __init__(self, servers: int = 3, volumes: int = 5, model: Record | None = None) -> None:
        builder = RunBuilder(seconds=2)
        self.manifest = builder.manifest
        self.model = MODEL if model is None else model
        self.seconds = 2.0
        self.servers, self.volumes = servers, volumes
        self.now = STARTED_UNIX_S
        storage, client = self.manifest["inventory"]["hosts"][0], self.manifest["inventory"]["hosts"][-1]
        self.manifest["inventory"]["hosts"] = [
            *(
                {
                    **storage,
                    "name": f"storage-{server}",
                    "volumes": [{**storage["volumes"][0], "id": volume_id(server, v)} for v in range(1, volumes + 1)],
                }
                for server in range(1, servers + 1)
            ),
            client,
        ]
        self.streams: dict[str, list[Record]] = {name: [] for name in ("cells", "worker", "host", "writes")}
        hosts = [host["name"] for host in self.manifest["inventory"]["hosts"]]
        self._network = {name: [0.0, 0.0] for name in hosts}
        self._disks: dict[str, dict[str, list[float]]] = {name: {} for name in hosts}

    def limits(self) -> tuple[float, float, float]:
        """Of a volume, of a server's EBS link, and of an instance's network."""
        scale, instance = self.model["scale"], self.model["instance"][0]
        volume = self.model["volume"][0]["bytes_per_s"] / scale
        return volume, instance["ebs_bytes_per_s"] / scale, instance["network_bytes_per_s"] / scale

    def rate(self, servers: int, volumes: int) -> float:
        """What so many volumes of so many servers give together."""
        volume, ebs, network = self.limits()
        return min(servers * min(volumes * volume, ebs, network), network)

    def cell(
        self,
        layout: str,
        servers: int,
        volumes: int,
        *,
        pattern: str = "sequential",
        rate: float | None = None,
        shares: list[float] | None = None,
        busy: float | None = None,
        **fields: Any,
    ) -> str:
        """Adds a cell; returns its name. `shares` are the volumes' parts of the rate, `busy` of a CPU."""
        name: str = fields.pop("cell", f"{layout}-{servers}x{volumes}-{pattern}")
        request = fields.get("request_bytes", 262_144 if pattern == "sequential" else 4096)
        if rate is None:
            rate = self.rate(servers, volumes)
            if pattern == "random":
                volume = self.model["volume"][0]
                rate = min(rate, servers * volumes * volume["ops_per_s"] / self.model["scale"] * request)
        ids = [(server, volume_id(server, v)) for v in range(1, volumes + 1) for server in range(1, servers + 1)]
        shares = shares or [1 / len(ids)] * len(ids)
        record = {
            "cell": name,
            "layout": layout,
            "pattern": pattern,
            "operation": "read",
            "servers": servers,
            "disks": len(ids),
            "mirrors": None if layout == "raw" else volumes,
            "copies": None,
            "readers": "many",
            "buffered": False,
            "request_bytes": request,
            "depth": 4 * len(ids),
            "devices": ["/dev/md99"],
            "volumes": [identity for _, identity in ids],
            "started_unix_s": self.now,
            "complete": True,
            "reason": None,
            **fields,
        }
        self.streams["cells"].append(record)
        self._worker(record, rate)
        self._samples(dict(zip(ids, shares, strict=True)), rate, busy or 0.4, record["operation"] == "write")
        self.now += self.seconds + 1
        return name

    def _worker(self, record: Record, rate: float) -> None:
        ops = round(rate * self.seconds / record["request_bytes"])
        histogram = histogram_of([round(1e9 * record["depth"] * record["request_bytes"] / rate)] * ops)
        line = {
            "schema": 1,
            "cell": record["cell"],
            "host": "client",
            "t_start_unix_s": self.now,
            "t_end_unix_s": self.now + self.seconds,
            "ops": ops,
            "bytes": ops * record["request_bytes"],
            "errors": {},
            "latency_ns": latency_json(histogram),
        }
        self.streams["worker"].append({**line, "kind": "final", "threads": record["depth"], "files": record["devices"]})

    def _samples(self, shares: dict[tuple[int, str], float], rate: float, busy: float, writes: bool) -> None:
        """Each volume is busy for as long as it takes to move its part at its own rate."""
        volume_rate = self.limits()[0]
        step = 1 / SAMPLES_PER_SECOND
        for number in range(round(self.seconds * SAMPLES_PER_SECOND) + 1):
            for host in self._network:
                server = None if host == "client" else int(host.rpartition("-")[2])
                mine = {identity: share * rate for (of, identity), share in shares.items() if server in (None, of)}
                moved = sum(mine.values()) * step if number else 0.0
                received = (server is None) != writes
                self._network[host][0 if received else 1] += moved
                for identity, each in mine.items():
                    counters = self._disks[host].setdefault(identity, [0.0, 0.0, 0.0])
                    if number:
                        counters[1 if writes else 0] += each * step
                        counters[2] += 1000 * step * (1.0 if server is None else min(1.0, each / volume_rate))
                self.streams["host"].append(
                    {
                        "t_unix_s": self.now + number * step,
                        "host": host,
                        "cpu_busy_ratio": busy if server is None else 0.2,
                        "nic_rx_bytes": round(self._network[host][0]),
                        "nic_tx_bytes": round(self._network[host][1]),
                        "mem_available_bytes": 1500 * MIB,
                        "disks": {
                            identity: {
                                "reads": round(read / 262_144),
                                "read_bytes": round(read),
                                "writes": 0,
                                "written_bytes": round(written),
                                "busy_ms": round(busy_ms),
                            }
                            for identity, (read, written, busy_ms) in self._disks[host].items()
                        },
                    }
                )

    def write(self, results: Path) -> Path:
        path: Path = results / "md-raid" / self.manifest["stack"] / "2026-12-01T103000Z"
        (path / "raw").mkdir(parents=True)
        (path / "manifest.json").write_text(json.dumps(self.manifest))
        (path / "service-model.json").write_text(json.dumps(self.model))
        for stream, records in self.streams.items():
            (path / "raw" / f"{stream}.ndjson").write_bytes(msgspec.json.Encoder().encode_lines(records))
        return path
