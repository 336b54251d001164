"""Samples the hosts while something is measured: scripts print samples, which become records."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from workloads.connectors.pool import ConnectionPool
from workloads.connectors.script import Script, script_command
from workloads.connectors.ssh import SshConnector, connect
from workloads.errors import WorkloadError
from workloads.results import Results

# A host that has printed nothing for this long is gone; it is tried again.
SILENCE_S = 10.0
RETRY_S = 2.0

Parser = Callable[[str], Mapping[str, Any] | None]


@dataclass(frozen=True)
class Sampler:
    """A script that prints until it is ended. `arguments` and `make_parser` get a host's name. The parser gets each
    line, and returns a record of `stream` when one is complete.
    """

    script: Script
    arguments: Callable[[str], list[str]]
    stream: str
    make_parser: Callable[[str], Parser]


def host_sampler(
    script: Script,
    hosts: ConnectionPool,
    *,
    interval_seconds: float = 1,
    disks: Mapping[str, Mapping[str, str]] | None = None,
) -> Sampler:
    """Returns a sampler of CPU, network counters and memory, by host_sample.sh.

    `disks` names block devices whose counters it samples as well: host -> name in the records -> device.
    """

    def make_parser(name: str) -> Parser:
        return lambda line: host_record(name, line) if line.startswith("{") else None

    def arguments(name: str) -> list[str]:
        of_host = (disks or {}).get(name, {})
        address = hosts.inventory.host(name).private_address
        return [address, f"{interval_seconds:g}", *(f"{disk}={device}" for disk, device in of_host.items())]

    return Sampler(script, arguments, "host", make_parser)


def host_record(host: str, line: str) -> dict[str, object]:
    """Returns the record of a line of host_sample.sh."""
    sample = json.loads(line)
    busy, total = sample.pop("busy"), sample.pop("total")
    return {"t_unix_s": sample.pop("t_unix_s"), "host": host, "cpu_busy_ratio": round(busy / total, 4), **sample}


class Sampling:
    """Runs samplers on all hosts for the duration of a `with` block, each over a connection of its own.

    While a host is gone its seconds are missing from the results, not zero. Without results the samplers run all the
    same, because they take some of the hosts' time.
    """

    def __init__(self, hosts: ConnectionPool, results: Results, samplers: list[Sampler]) -> None:
        self._hosts = hosts
        self._results = results
        self._ended = threading.Event()
        self._connectors: set[SshConnector] = set()
        self._sampled: dict[tuple[str, Sampler], threading.Event] = {
            (host.name, sampler): threading.Event() for host in hosts.inventory.hosts for sampler in samplers
        }
        self._misread: dict[str, list[str]] = {}
        self._failed: dict[str, list[str]] = {}
        self._guard = threading.Lock()
        self._threads = [threading.Thread(target=self._sample, args=each, daemon=True) for each in self._sampled]

    def missing_hosts(self, timeout_seconds: float) -> list[str]:
        """Waits until each sampler has a first record; returns the hosts that lack one after the timeout.

        A sampler has to connect first: on a busy machine a cell of two seconds was over by then.
        """
        deadline = time.monotonic() + timeout_seconds
        missing = [
            name for (name, _), first in self._sampled.items() if not first.wait(max(deadline - time.monotonic(), 0))
        ]
        return list(dict.fromkeys(missing))

    def __enter__(self) -> Sampling:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        with self._guard:
            connectors = list(self._connectors)
        for connector in connectors:
            connector.close()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(timeout=5)
        for who, faults in sorted(self._misread.items()):
            # A single one is a line that a broken connection has cut off.
            if len(faults) > 1:
                print(
                    f"tidemark: the output of {who} can't be parsed ({faults[-1]}); its records are missing",
                    file=sys.stderr,
                )
        for who, faults in sorted(self._failed.items()):
            print(
                f"tidemark: {who} failed {len(faults)} times ({faults[-1]}); records of some seconds are missing",
                file=sys.stderr,
            )

    def _sample(self, name: str, sampler: Sampler) -> None:
        who = f"{name}: {sampler.script.name}"
        while not self._ended.is_set():
            connector: SshConnector | None = None
            try:
                # Looked up at each attempt: the address may change while the sampler runs.
                inventory = self._hosts.inventory
                connector = connect(inventory.host(name), inventory.ssh, self._hosts.keys_of(name))
                with self._guard:
                    self._connectors.add(connector)
                if self._ended.is_set():
                    return
                parse = sampler.make_parser(name)

                def keep(line: str, parse: Parser = parse) -> None:
                    record = parse(line)
                    if record is not None:
                        self._misread.pop(who, None)
                        self._results.append(sampler.stream, record)
                        self._sampled[name, sampler].set()

                command = script_command(sampler.script.name, sampler.arguments(name), connector.user, locked=False)
                code, stderr = connector.execute(
                    command, keep, stdin=sampler.script.text.encode(), idle_timeout_seconds=SILENCE_S
                )
                if code and not self._ended.is_set():
                    words = stderr.strip().splitlines()
                    self._failed.setdefault(who, []).append(f"exit code {code}{f': {words[-1]}' if words else ''}")
            except (WorkloadError, OSError):
                pass
            except (ValueError, KeyError) as error:
                # The host is there, but a kernel or a tool on it prints another format.
                self._misread.setdefault(who, []).append(" ".join(str(error).split()))
            finally:
                if connector is not None:
                    with self._guard:
                        self._connectors.discard(connector)
                    connector.close()
            self._ended.wait(RETRY_S)
