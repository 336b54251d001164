"""What each host does while something is measured, second by second: a script there prints, a record is kept here."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from workloads.connectors.pool import ConnectionPool
from workloads.connectors.script import Script, script_command
from workloads.connectors.ssh import SshConnector, connect
from workloads.errors import WorkloadError
from workloads.results import Results

# A host that has said nothing for so long has gone; one that comes back is asked again.
SILENCE_S = 10.0
RETRY_S = 2.0

Take = Callable[[str], Mapping[str, Any] | None]


@dataclass(frozen=True)
class Sampler:
    """A script that prints without end. `arguments` and `taking` are made for a host by its name; what `taking` gives
    takes a line, and gives a record of `stream` when one is whole.
    """

    script: Script
    arguments: Callable[[str], list[str]]
    stream: str
    taking: Callable[[str], Take]


def host_sampler(script: Script, hosts: ConnectionPool) -> Sampler:
    """CPU, network counters and memory, by host_sample.sh."""

    def taking(name: str) -> Take:
        return lambda line: host_record(name, line) if line.startswith("{") else None

    return Sampler(script, lambda name: [hosts.inventory.host(name).private_address], "host", taking)


def host_record(host: str, line: str) -> dict[str, object]:
    """A line of host_sample.sh as results hold it."""
    sample = json.loads(line)
    busy, total = sample.pop("busy"), sample.pop("total")
    return {"t_unix_s": sample.pop("t_unix_s"), "host": host, "cpu_busy_ratio": round(busy / total, 4), **sample}


class Sampling:
    """Samplers on hosts, each over a connection of its own, for as long as the block lasts.

    A host that dies is left out while it is gone: its seconds are missing from the results, not zero. Without results
    the samplers run all the same, as they cost the hosts something, and nothing is kept.
    """

    def __init__(self, hosts: ConnectionPool, results: Results, samplers: list[Sampler]) -> None:
        self._hosts = hosts
        self._results = results
        self._ended = threading.Event()
        self._connectors: set[SshConnector] = set()
        self._misread: dict[str, list[str]] = {}
        self._guard = threading.Lock()
        self._threads = [
            threading.Thread(target=self._sample, args=(host.name, sampler), daemon=True)
            for host in hosts.inventory.hosts
            for sampler in samplers
        ]

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
            # One is a line that a broken connection has cut.
            if len(faults) > 1:
                print(
                    f"tidemark: {who} is not understood ({faults[-1]}); what it would tell is missing", file=sys.stderr
                )

    def _sample(self, name: str, sampler: Sampler) -> None:
        who = f"{name}: {sampler.script.name}"
        while not self._ended.is_set():
            connector: SshConnector | None = None
            try:
                # The address may change while the sampler runs: it is looked up at each attempt.
                inventory = self._hosts.inventory
                connector = connect(inventory.host(name), inventory.ssh, self._hosts.keys_of(name))
                with self._guard:
                    self._connectors.add(connector)
                if self._ended.is_set():
                    return
                take = sampler.taking(name)

                def keep(line: str, take: Take = take) -> None:
                    record = take(line)
                    if record is not None:
                        self._misread.pop(who, None)
                        self._results.append(sampler.stream, record)

                command = script_command(sampler.script.name, sampler.arguments(name), connector.user, locked=False)
                connector.execute(command, keep, stdin=sampler.script.text.encode(), idle_timeout_seconds=SILENCE_S)
            except (WorkloadError, OSError):
                pass
            except (ValueError, KeyError) as error:
                # Not a host that has gone: what a kernel or a tool shows there is of another form.
                self._misread.setdefault(who, []).append(" ".join(str(error).split()))
            finally:
                if connector is not None:
                    with self._guard:
                        self._connectors.discard(connector)
                    connector.close()
            self._ended.wait(RETRY_S)
