"""Reads long streams of a run in a second process.

It pays: the report of a million records (bench/page.py) took 23 and 19 s with it, 29 and 20 s without, on two busy
processors. A third process, which only drew the figures, did not: 23, 19, 14 and 14 s with it, 19, 14, 13 and 17 s
without.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from report.runs import Run

T = TypeVar("T")
# Of a shorter stream, starting a process takes longer than it saves.
BYTES_MIN = 32 << 20


@contextmanager
def read_in_parallel(run: Run, read: Callable[[Run], T], *streams: str) -> Iterator[Callable[[], T]]:
    """Yields a function that waits for `read` and returns what it returns; the problems that it met become the run's.

    `read` must be picklable. It runs in another process only if `streams`, which it reads, are long.
    """
    if (os.cpu_count() or 1) < 2 or sum(run.stream_bytes(stream) for stream in streams) < BYTES_MIN:
        yield lambda: read(run)
        return
    with ProcessPoolExecutor(1, multiprocessing.get_context("fork")) as pool:
        reading = pool.submit(run.read_apart, read)

        def wait() -> T:
            answer, problems = reading.result()
            run.problem(*problems)
            return answer

        yield wait
