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
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

from workloads.s3_throttle.uploader import kernel
from workloads.s3_throttle.uploader.requests import Requests, TasksGone
from workloads.s3_throttle.uploader.spec import Spec
from workloads.s3_throttle.uploader.sync import measure, send_buffers_file

EXIT_FAULT = 1


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


if __name__ == "__main__":
    sys.exit(main())
