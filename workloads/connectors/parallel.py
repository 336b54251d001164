"""Runs work for several hosts at once."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from typing import TypeVar

from workloads.errors import WorkloadError

T = TypeVar("T")
# Of pieces of work that need not run at the same time: bounds the threads and connections of a large inventory. 200
# hosts take 2.7 s with 16 threads, 2.3 s with 64, 2.4 s with 200 (bench/hosts.py, two processors).
THREADS_MAX = 64


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
