"""Runs the worker on md-raid's client; says why it may be silent."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from workloads.errors import WorkloadError
from workloads.md_raid.context import Context, script
from workloads.worker import Outcome, run_worker

# The worker prints each second, and starts within 1 s, within 3 on a busy machine.
SILENT_S = 5.0
ANSWER_S = 10.0


def run_on_client(
    context: Context,
    words: Sequence[str],
    *,
    task: str,
    cell: str | None = None,
    on_record: Callable[[dict[str, Any]], None] = lambda _: None,
    on_started: Callable[[int], None] | None = None,
) -> Outcome:
    """Runs the worker as `run_worker` does. When it is silent, a line of `task` says what the client waits for."""
    with silence_watch(lambda: describe(context), lambda words: context.console.say(task, words)) as heard:

        def take(record: dict[str, Any]) -> None:
            heard()
            on_record(record)

        return run_worker(
            context,
            context.client_name,
            script("client_worker"),
            words,
            cell=cell,
            on_record=take,
            on_started=on_started,
        )


@contextmanager
def silence_watch(
    describe: Callable[[], str], tell: Callable[[str], None], silent_s: float = SILENT_S
) -> Iterator[Callable[[], None]]:
    """Gives a function to call at each sign of life. Once in each silence `describe` is called; what it returns is
    told, unless there was a sign meanwhile: then it describes a client at work.
    """
    sign, ended = threading.Event(), threading.Event()

    def watch() -> None:
        while not ended.is_set():
            if sign.wait(silent_s):
                sign.clear()
            else:
                words = describe()
                if not sign.is_set():
                    tell(words)
                sign.wait()

    def heard() -> None:
        sign.set()

    thread = threading.Thread(target=watch, name="silence-watch", daemon=True)
    thread.start()
    try:
        yield heard
    finally:
        ended.set()
        sign.set()


def describe(context: Context) -> str:
    """Describes what tasks and devices of the client wait for, by a second channel of its connection."""
    prefix = f"the worker has been silent for {SILENT_S:g} s"
    try:
        result = context.hosts.connector(context.client_name).run(
            script("client_stuck"), locked=False, idle_timeout_seconds=ANSWER_S
        )
    except WorkloadError as error:
        return f"{prefix}, and what the client waits for is not known: {error.what}"
    tasks = [f"{f['task']} ({f['state']}) in {f['stack'] or f['waits_in']}" for f in result.facts if "task" in f]
    devices = [f"{f['device']} has {f['reads']} reads, {f['writes']} writes" for f in result.facts if "device" in f]
    found = [*(tasks or ["no task of the worker is there"]), *(devices or ["no request is in flight"])]
    return f"{prefix}: {'; '.join(found)}"
