"""`python -m workloads.s3_throttle.uploader FOLDER LEASE_TIMEOUT_S`: measures syncs for one run.

FOLDER holds the files of a sync while it runs. A line of standard input is a sync as JSON (spec.py), or `done`, or an
empty one: a heartbeat. The program ends when no line has come for LEASE_TIMEOUT_S between syncs.

It prints {"ready":true} at its start, and nothing while a sync runs, because its output passes the interface that is
measured. After a sync it prints {"samples":…,"stops":…,"final":…} (kernel.Samples; the records of the throttle's
stops), or {"fault":…} where a sync could not be begun.

When standard input ends, so does the sync: nothing stays stopped, and no cap stays on the interface.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

from workloads.s3_throttle.uploader import kernel
from workloads.s3_throttle.uploader.spec import Spec
from workloads.s3_throttle.uploader.sync import measure, send_buffers_file

EXIT_FAULT = 1
CHUNK_BYTES = 65536


def main() -> int:
    scratch, timeout_s = Path(sys.argv[1]) / "sync", float(sys.argv[2])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        serve(Requests(), scratch, timeout_s)
    except TasksGone:
        print("the tasks that asked for syncs have gone", file=sys.stderr)
        return EXIT_FAULT
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return 0


def serve(requests: Requests, scratch: Path, timeout_s: float) -> None:
    """Measures syncs until `done`. Raises TasksGone when the tasks are gone."""
    say({"ready": True})
    interface: kernel.Interface | None = None
    while (line := requests.next(timeout_s)) != "done":
        if not line:
            continue
        spec = Spec.from_json(line)
        try:
            if interface is None:
                interface = kernel.Interface(spec.address)
                kernel.uncap(interface.name)
                kernel.restore_send_buffers(send_buffers_file(scratch))
            final = measure(spec, interface, scratch, still_wanted=requests.look)
        except (OSError, LookupError) as fault:
            say({"fault": str(fault)})
            continue
        say({"samples": vars(interface.samples), "stops": final.pop("stops"), "final": final})


def say(document: dict[str, Any]) -> None:
    """Prints a record as one line."""
    print(json.dumps(document), flush=True)


class TasksGone(Exception):
    """The tasks have ended, or have sent no heartbeat for too long."""


class Requests:
    """Reads lines from a descriptor, without blocking unless asked to."""

    def __init__(self, descriptor: int = 0) -> None:
        self._descriptor = descriptor
        self._unread = b""
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLIN)

    def next(self, timeout_s: float) -> str:
        """Returns the next line. Raises TasksGone at the end of input, or when nothing has come for too long."""
        while b"\n" not in self._unread:
            if not self._poll.poll(timeout_s * 1000):
                raise TasksGone
            self._take()
        line, _, self._unread = self._unread.partition(b"\n")
        return line.decode(errors="replace")

    def look(self) -> None:
        """Raises TasksGone at the end of input; does not wait."""
        if self._poll.poll(0):
            self._take()

    def _take(self) -> None:
        piece = os.read(self._descriptor, CHUNK_BYTES)
        if not piece:
            raise TasksGone
        self._unread += piece


if __name__ == "__main__":
    sys.exit(main())
