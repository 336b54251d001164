"""The streams of efs-iops that are long, worker, mountstats and host: from the raw records, or from their copy."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from report.efs_iops.cells import Clients
from report.efs_iops.clocks import RunnerClock
from report.efs_iops.counters import Counters
from report.efs_iops.mountstats import read_mountstats
from report.hosts import HostSamples, read_host_samples
from report.intervals import COLUMNS, Intervals
from report.latency_seconds import LatencySeconds
from report.long_streams import ColumnarCopy, Content, Table
from report.runs import Run
from report.worker import Final, Worker, read_worker

_CLIENTS = ("mountstats", "host")


class _Workers(Struct):
    """Of the copy of the workers' stream, what is no table."""

    cells: list[str]
    hosts: list[list[str]]  # names, by cell
    errors: list[dict[int, dict[str, int]]]  # of the intervals that have some, by cell
    finals: list[list[Final]]  # by cell
    grain_s: int
    problems: list[str]


class _OfHosts(Struct):
    """Of the copy of the clients' streams, what is no table."""

    hosts: dict[str, list[str]]  # by table
    problems: list[str]


def read_workers(run: Run, clock: RunnerClock) -> tuple[dict[str, Worker], LatencySeconds]:
    """Returns the workers by cell, and the latencies of all cells, on the runner's clock."""
    copy = ColumnarCopy(run, "workers", "worker", "clocks")
    content = copy.load()
    if content is not None:
        workers, latencies = _workers_in(content, run)
    else:
        latencies = LatencySeconds(lambda host, t_unix_s: clock.of(host).all_on_runner(t_unix_s))
        workers, problems = run.read_apart(partial(read_worker, latencies=latencies))
        copy.save(_content_of_workers(workers, latencies, problems))
        run.problem(*problems)
    return clock.workers(workers), latencies


def _content_of_workers(workers: Mapping[str, Worker], latencies: LatencySeconds, problems: list[str]) -> Content:
    parts = [worker.intervals for worker in workers.values()]
    table: dict[str, NDArray[Any]] = {
        "cell": _numbered([len(part) for part in parts]),
        **{name: np.concatenate([getattr(part, name) for part in parts] or [np.zeros(0)]) for name in COLUMNS},
    }
    document = _Workers(
        list(workers),
        [list(part.names) for part in parts],
        [{row: dict(each) for row, each in part.errors.items()} for part in parts],
        [worker.finals for worker in workers.values()],
        latencies.grain_s,
        problems,
    )
    return Content({"intervals": table, "latencies": latencies.table()}, msgspec.json.encode(document))


def _workers_in(content: Content, run: Run) -> tuple[dict[str, Worker], LatencySeconds]:
    document = msgspec.json.decode(content.document, type=_Workers)
    run.problem(*document.problems)
    table = content.tables["intervals"]
    bounds = np.searchsorted(table["cell"], np.arange(len(document.cells) + 1)).tolist()
    workers = {}
    for at, cell in enumerate(document.cells):
        columns: dict[str, Any] = {name: table[name][bounds[at] : bounds[at + 1]] for name in COLUMNS}
        intervals = Intervals(tuple(document.hosts[at]), **columns, errors=document.errors[at])
        workers[cell] = Worker(intervals, document.finals[at])
    return workers, LatencySeconds.of_table(document.grain_s, content.tables["latencies"])


def clients_to_read(run: Run) -> tuple[str, ...]:
    """Returns the raw streams that `read_clients` will have to read."""
    return () if _clients_copy(run).is_current else _CLIENTS


def read_clients(run: Run, clock: RunnerClock) -> Clients:
    """Reads what the clients counted, on the runner's clock."""
    copy = _clients_copy(run)
    content = copy.load()
    if content is not None:
        mountstats, samples = _clients_in(content, run)
    else:
        (mountstats, samples), problems = run.read_apart(
            lambda alone: (read_mountstats(alone, clock), read_host_samples(alone))
        )
        copy.save(_content_of_clients(mountstats, samples, problems))
        run.problem(*problems)
    return Clients.of(mountstats, clock.samples(samples))


def _clients_copy(run: Run) -> ColumnarCopy:
    return ColumnarCopy(run, "clients", *_CLIENTS, "clocks")


def _content_of_clients(
    mountstats: Mapping[str, Counters], samples: Mapping[str, HostSamples], problems: list[str]
) -> Content:
    of_tables: dict[str, dict[str, Table]] = {
        "mountstats": {host: {"t_unix_s": each.t_unix_s, **each.columns} for host, each in mountstats.items()},
        "host": {host: vars(each) for host, each in samples.items()},
    }
    tables = {}
    for name, of_hosts in of_tables.items():
        columns = next(iter(of_hosts.values()), {})
        lengths = [len(each["t_unix_s"]) for each in of_hosts.values()]
        joined: dict[str, NDArray[Any]] = {"of_host": _numbered(lengths)}
        joined |= {column: np.concatenate([each[column] for each in of_hosts.values()]) for column in columns}
        tables[name] = joined
    document = _OfHosts({name: list(of_hosts) for name, of_hosts in of_tables.items()}, problems)
    return Content(tables, msgspec.json.encode(document))


def _clients_in(content: Content, run: Run) -> tuple[dict[str, Counters], dict[str, HostSamples]]:
    document = msgspec.json.decode(content.document, type=_OfHosts)
    run.problem(*document.problems)
    of_tables: dict[str, dict[str, dict[str, Any]]] = {}
    for name, hosts in document.hosts.items():
        table = dict(content.tables[name])
        bounds = np.searchsorted(table.pop("of_host"), np.arange(len(hosts) + 1)).tolist()
        of_tables[name] = {
            host: {column: values[bounds[at] : bounds[at + 1]] for column, values in table.items()}
            for at, host in enumerate(hosts)
        }
    mountstats = {host: Counters(each.pop("t_unix_s"), each) for host, each in of_tables["mountstats"].items()}
    return mountstats, {host: HostSamples(**each) for host, each in of_tables["host"].items()}


def _numbered(lengths: list[int]) -> NDArray[np.int64]:
    """Returns for each row the number of its part; the parts have these lengths."""
    return np.repeat(np.arange(len(lengths)), np.array(lengths, np.int64))
