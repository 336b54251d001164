"""A script that stays for as long as a block lasts, on the strength of signs of life.

It answers with one line when it is ready. From then on it gets an empty line every few seconds; when none has come
for its patience, or its connection has gone, it knows that whoever started it is no more, however that happened.
"""

from __future__ import annotations

import contextlib
import os
import platform
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from workloads.connections import Machine, Script, Talk, script_error
from workloads.errors import WorkloadError
from workloads.machines import user_here

BEAT_SECONDS = 3.0
# Ten beats: a link that is silent for so long has failed a person, too.
PATIENCE_SECONDS = 30
START_SECONDS = 60.0
# It has nothing left to do but to end. A host that has died is not waited for as one that starts is.
END_SECONDS = 5.0
DONE = b"done\n"


@contextmanager
def held(machine: Machine, script: Script, arguments: Iterable[str] = ()) -> Iterator[None]:
    """Runs `script` beside the block, and tells it `done` at the end; a host that has died by then is no fault.

    Its patience in seconds is the first of its arguments. Raises WorkloadError when it refuses.
    """
    words = [str(PATIENCE_SECONDS), *arguments]
    with contextlib.ExitStack() as starting:
        talk = starting.enter_context(machine.conversation(script, words, silence_s=START_SECONDS))
        if next(talk.lines, None) is None:
            code, stderr = talk.end()
            raise script_error(machine.name, script.name, code, stderr)
        # From here on a fault of the block is the block's, and none of this connection.
        ending = starting.pop_all()
    try:
        with signs_of_life(talk):
            yield
    finally:
        with contextlib.suppress(OSError, EOFError, WorkloadError), ending:
            if talk.send(DONE):
                talk.done_writing()
                talk.end(END_SECONDS)


@contextmanager
def signs_of_life(talk: Talk, idle: threading.Lock | None = None) -> Iterator[None]:
    """Sends a script one every few seconds while the block lasts; none while the block holds `idle`."""
    over = threading.Event()
    beating = threading.Thread(target=_beat, args=(talk, over, idle or threading.Lock()), daemon=True)
    beating.start()
    try:
        yield
    finally:
        over.set()
        beating.join(BEAT_SECONDS)


def _beat(talk: Talk, over: threading.Event, idle: threading.Lock) -> None:
    with contextlib.suppress(OSError, EOFError):
        while not over.wait(BEAT_SECONDS):
            with idle:
                if not talk.send(b"\n"):
                    return


def run_of(what: str) -> str:
    """How whoever comes second is told who has it: `what` is what the run does."""
    return f"{what} by {user_here()} at {platform.node()} (process {os.getpid()})"
