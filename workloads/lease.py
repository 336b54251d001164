"""Runs a script for the duration of a `with` block, on a lease that heartbeats renew.

The script answers with one line when it is ready. From then on it gets an empty line every few seconds. When none has
come for the lease's timeout, or its standard input has ended, it exits by itself.
"""

from __future__ import annotations

import contextlib
import os
import platform
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from workloads.connectors.base import Connector, ScriptProcess
from workloads.connectors.local import local_user
from workloads.connectors.script import Script, script_error
from workloads.errors import WorkloadError

HEARTBEAT_SECONDS = 3.0
# Ten heartbeats.
LEASE_TIMEOUT_SECONDS = 30
START_SECONDS = 60.0
# The script only has to exit: a short timeout, because the host may have died.
END_SECONDS = 5.0
DONE = b"done\n"


@contextmanager
def lease(connector: Connector, script: Script, arguments: Iterable[str] = ()) -> Iterator[None]:
    """Runs `script` for the duration of the block, and sends it `done` at the end; a host that has died by then is no
    error. The script's first argument is the lease's timeout in seconds.

    Raises WorkloadError when the script refuses to start.
    """
    words = [str(LEASE_TIMEOUT_SECONDS), *arguments]
    with contextlib.ExitStack() as starting:
        process = starting.enter_context(connector.start(script, words, idle_timeout_seconds=START_SECONDS))
        if next(process.lines, None) is None:
            code, stderr = process.wait()
            raise script_error(connector.name, script.name, code, stderr)
        # The block's errors must not pass through the script's context managers.
        ending = starting.pop_all()
    try:
        with heartbeats(process):
            yield
    finally:
        with contextlib.suppress(OSError, EOFError, WorkloadError), ending:
            if process.send(DONE):
                process.close_stdin()
                process.wait(END_SECONDS)


@contextmanager
def heartbeats(process: ScriptProcess, pause: threading.Lock | None = None) -> Iterator[None]:
    """Sends a script a heartbeat every few seconds for the duration of the block; none while `pause` is held."""
    ended = threading.Event()
    pause = pause or threading.Lock()

    def send() -> None:
        with contextlib.suppress(OSError, EOFError):
            while not ended.wait(HEARTBEAT_SECONDS):
                with pause:
                    if not process.send(b"\n"):
                        return

    sender = threading.Thread(target=send, daemon=True)
    sender.start()
    try:
        yield
    finally:
        ended.set()
        sender.join(HEARTBEAT_SECONDS)


def lease_holder(action: str) -> str:
    """Describes this process as the lock's holder, for the error that a second caller gets."""
    return f"{action} by {local_user()} at {platform.node()} (process {os.getpid()})"
