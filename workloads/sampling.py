"""Samples the hosts while something is measured: scripts print samples, which become records."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from workloads.connectors.pool import ConnectionPool
from workloads.connectors.script import Script, script_command
from workloads.connectors.ssh import SshConnector, connect
from workloads.errors import WorkloadError, last_line
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

    def arguments(name: str) -> list[str]:
        of_host = (disks or {}).get(name, {})
        address = hosts.inventory.host(name).private_address
        return [address, f"{interval_seconds:g}", *(f"{disk}={device}" for disk, device in of_host.items())]

    return Sampler(script, arguments, "host", lambda name: partial(host_record, name))


def host_record(host: str, line: str) -> dict[str, object] | None:
    """Returns the record of a line of host_sample.sh; None for a line that is no sample."""
    if not line.startswith("{"):
        return None
    sample = json.loads(line)
    busy, total = sample.pop("busy"), sample.pop("total")
    return {"t_unix_s": sample.pop("t_unix_s"), "host": host, "cpu_busy_ratio": round(busy / total, 4), **sample}


@dataclass
class _SampledHost:
    """One sampler on one host: the connection that it has now, its first record, and what went wrong."""

    name: str
    sampler: Sampler
    connector: SshConnector | None = None
    has_record: threading.Event = field(default_factory=threading.Event)
    misread: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)


class Sampling:
    """Runs samplers on all hosts for the duration of a `with` block, each over a connection of its own.

    While a host is gone its seconds are missing from the results, not zero. Without results the samplers run all the
    same, because they take some of the hosts' time.
    """

    def __init__(self, hosts: ConnectionPool, results: Results, samplers: list[Sampler]) -> None:
        self._hosts = hosts
        self._results = results
        self._ended = threading.Event()
        self._sampled = [_SampledHost(host.name, each) for host in hosts.inventory.hosts for each in samplers]
        self._threads = [threading.Thread(target=self._sample, args=(on,), daemon=True) for on in self._sampled]

    def missing_hosts(self, timeout_seconds: float) -> list[str]:
        """Waits until each sampler has a first record; returns the hosts that lack one after the timeout.

        A sampler has to connect first: on a busy machine a cell of two seconds was over by then.
        """
        deadline = time.monotonic() + timeout_seconds
        missing = [on.name for on in self._sampled if not on.has_record.wait(max(deadline - time.monotonic(), 0))]
        return list(dict.fromkeys(missing))

    def __enter__(self) -> Sampling:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for on in self._sampled:
            if on.connector is not None:
                on.connector.close()
        for thread in self._threads:
            thread.join(timeout=5)
        for on in self._sampled:
            who = f"{on.name}: {on.sampler.script.name}"
            # A single one is a line that a broken connection has cut off.
            if len(on.misread) > 1:
                _warn(f"the output of {who} can't be parsed ({on.misread[-1]}); its records are missing")
            if on.failed:
                _warn(f"{who} failed {len(on.failed)} times ({on.failed[-1]}); records of some seconds are missing")

    def _sample(self, on: _SampledHost) -> None:
        while not self._ended.is_set():
            try:
                self._sample_until_it_breaks(on)
            except (WorkloadError, OSError):
                pass
            except (ValueError, KeyError) as error:
                # The host is there, but a kernel or a tool on it prints another format.
                on.misread.append(" ".join(str(error).split()))
            finally:
                if on.connector is not None:
                    on.connector.close()
            self._ended.wait(RETRY_S)

    def _sample_until_it_breaks(self, on: _SampledHost) -> None:
        # Looked up at each attempt: the address may change while the sampler runs.
        inventory = self._hosts.inventory
        on.connector = connect(inventory.host(on.name), inventory.ssh, self._hosts.keys_of(on.name))
        if self._ended.is_set():  # __exit__ may have looked before there was this connection
            return
        sampler, parse = on.sampler, on.sampler.make_parser(on.name)

        def keep(line: str) -> None:
            record = parse(line)
            if record is not None:
                on.misread.clear()
                self._results.append(sampler.stream, record)
                on.has_record.set()

        command = script_command(sampler.script.name, sampler.arguments(on.name), on.connector.user, locked=False)
        code, stderr = on.connector.execute(
            command, keep, stdin=sampler.script.text.encode(), idle_timeout_seconds=SILENCE_S
        )
        if code and not self._ended.is_set():
            words = last_line(stderr)
            on.failed.append(f"exit code {code}{f': {words}' if words else ''}")


def _warn(words: str) -> None:
    print(f"tidemark: {words}", file=sys.stderr)
