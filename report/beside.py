"""Streams of one run read at the same time: hours of records keep one processor busy for seconds."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from report.runs import Run

T = TypeVar("T")
# Below that, starting a process takes longer than it spares.
BYTES_MIN = 32 << 20


@contextmanager
def reading_beside(run: Run, read: Callable[[Run], T], *streams: str) -> Iterator[Callable[[], T]]:
    """Yields what waits for `read`, a function of a module, and returns its answer; its problems become the run's then.

    It is read in a process of its own where `streams`, which it reads, are long.
    """
    if (os.cpu_count() or 1) < 2 or sum(run.stream_bytes(stream) for stream in streams) < BYTES_MIN:
        yield lambda: read(run)
        return
    with ProcessPoolExecutor(1, multiprocessing.get_context("fork")) as pool:
        reading = pool.submit(_read, run, read)

        def wait() -> T:
            answer, problems = reading.result()
            for problem in problems:
                run.problem(problem)
            return answer

        yield wait


def _read(run: Run, read: Callable[[Run], T]) -> tuple[T, list[str]]:
    alone = Run(run.path, run.manifest)
    return read(alone), alone.problems
