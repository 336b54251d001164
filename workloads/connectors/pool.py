"""The connections of one task: made when first needed and closed together; runs work on several hosts at once."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed, wait
from functools import partial
from typing import TypeVar

from inventory import Inventory
from workloads.connectors.base import IDLE_TIMEOUT_SECONDS
from workloads.connectors.script import Script, ScriptResult
from workloads.connectors.ssh import SshConnector, Unreachable, connect
from workloads.errors import WorkloadError
from workloads.waiting import wait_until

# A new host shows its host keys before sshd listens; one that restarts for its memory limit is away for a minute.
BOOT_SECONDS = 120
BOOT_POLL_SECONDS = 1.0
# Of pieces of work that need not run at the same time: bounds the threads and connections of a large inventory. 200
# hosts take 2.7 s with 16 threads, 2.3 s with 64, 2.4 s with 200 (bench/hosts.py, two processors).
THREADS_MAX = 64

T = TypeVar("T")


class ConnectionPool:
    """The open connections to an inventory's hosts, by name."""

    def __init__(
        self,
        inventory: Inventory,
        host_keys: Mapping[str, Sequence[str]],
        check: Callable[[str], None] = lambda _: None,
    ) -> None:
        """`check` gets a host's name and raises when waiting for it is of no use (workloads/resource_watch.py)."""
        self.inventory = inventory
        self._host_keys = dict(host_keys)
        self.check = check
        self._connectors: dict[str, SshConnector] = {}
        self._guard = threading.Lock()

    def __enter__(self) -> ConnectionPool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes every connection; threads that wait on one get an error."""
        with self._guard:
            connectors, self._connectors = list(self._connectors.values()), {}
        for connector in connectors:
            connector.close()

    def keys_of(self, name: str) -> Sequence[str]:
        """Returns the pinned keys of a host."""
        return self._host_keys[name]

    def drop(self, name: str) -> None:
        """Closes the connection to a host that has gone."""
        with self._guard:
            connector = self._connectors.pop(name, None)
        if connector is not None:
            connector.close()

    def connector(self, name: str) -> SshConnector:
        """Returns the open connection to the host called `name`; connects where there is none."""
        with self._guard:
            connector = self._connectors.get(name)
        if connector is not None and connector.is_open:
            return connector
        host = self.inventory.host(name)
        fresh = connect(host, self.inventory.ssh, self._host_keys[name], partial(self.check, name))
        with self._guard:
            self._connectors[name] = fresh
        return fresh

    def wait_for(self, name: str, tell: Callable[[str], None], timeout_seconds: float) -> None:
        """Connects to a host, which may still boot; gives up early on a host that has ended."""
        told = False

        def connected() -> bool:
            nonlocal told
            try:
                self._connect_watched(name)
            except Unreachable:
                self.check(name)
                if not told:
                    tell(f"{name} does not answer yet; waiting up to {timeout_seconds:.0f} s")
                told = True
                raise
            return True

        wait_until(connected, timeout_seconds=timeout_seconds, interval_seconds=BOOT_POLL_SECONDS, retry_on=Unreachable)

    def _connect_watched(self, name: str) -> None:
        """Connects to a host; gives up in the middle of an attempt, which may take a minute, when the host ends."""
        attempt: Future[SshConnector] = Future()

        def connect_to() -> None:
            try:
                attempt.set_result(self.connector(name))
            except BaseException as error:
                attempt.set_exception(error)

        threading.Thread(target=connect_to, name=f"connect-{name}", daemon=True).start()
        while not wait([attempt], timeout=BOOT_POLL_SECONDS).done:
            self.check(name)
        attempt.result()

    def wait_for_all(self, tell: Callable[[str], None]) -> None:
        """Connects to every host at once; each may still boot."""
        waits = {host.name: partial(self.wait_for, host.name, tell, BOOT_SECONDS) for host in self.inventory.hosts}
        in_threads(waits, on_interrupt=self.close)

    def each(
        self, names: Iterable[str], work: Callable[[SshConnector], T], *, threads_max: int | None = None
    ) -> dict[str, T]:
        """Runs `work` on several hosts, on all at the same time or at most on `threads_max`.

        Raises the first error by name, after all have ended.
        """
        jobs = {name: partial(lambda name: work(self.connector(name)), name) for name in names}
        return in_threads(jobs, on_interrupt=self.close, threads_max=threads_max)

    def run(
        self,
        script: Script,
        arguments: Mapping[str, Sequence[str]],
        *,
        idle_timeout_seconds: float = IDLE_TIMEOUT_SECONDS,
    ) -> dict[str, ScriptResult]:
        """Runs one script on several hosts, THREADS_MAX at the same time, with each host's own arguments."""
        return self.each(
            arguments,
            lambda host: host.run(script, arguments[host.name], idle_timeout_seconds=idle_timeout_seconds),
            threads_max=THREADS_MAX,
        )


def in_threads(
    work: Mapping[str, Callable[[], T]], on_interrupt: Callable[[], None], *, threads_max: int | None = None
) -> dict[str, T]:
    """Runs every piece of `work` in a thread, at most `threads_max` at the same time; returns the results by name.

    An interrupt calls `on_interrupt`, which must unblock the threads. Where several fail, the first by name is raised
    and the others are printed, so that one run shows every host that is at fault.
    """
    if not work:
        return {}
    pool = ThreadPoolExecutor(max_workers=min(len(work), threads_max or len(work)), thread_name_prefix="host")
    futures: dict[Future[T], str] = {pool.submit(job): name for name, job in work.items()}
    try:
        for _ in as_completed(futures):
            pass
    except BaseException:
        on_interrupt()
        pool.shutdown(wait=False, cancel_futures=True)
        raise
    pool.shutdown()
    errors = {name: error for future, name in futures.items() if (error := future.exception()) is not None}
    if errors:
        first, *others = (errors[name] for name in sorted(errors))
        for other in others:
            if isinstance(other, WorkloadError):
                print(f"tidemark: {other.shown}", file=sys.stderr)
        raise first
    return {name: future.result() for future, name in futures.items()}
