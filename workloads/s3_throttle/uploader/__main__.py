"""`python -m workloads.s3_throttle.uploader FOLDER WHO LEASE_TIMEOUT_S`: measures syncs for the run called WHO.

FOLDER holds the files of a sync while it runs. A line of standard input is a sync as JSON (spec.py), or `done`, or an
empty one: a heartbeat. The program ends when no line has come for LEASE_TIMEOUT_S between syncs.

It prints {"kind":"ready"} at its start, and nothing while a sync runs, because its output passes the interface that is
measured. After a sync it prints {"kind":"samples","t":[…],…} (kernel.Samples), {"kind":"stops",…} (of the throttle, a
list for each field) and {"kind":"final",…}, a line each; or {"kind":"fault","what":…} where a sync could not be begun.

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
from workloads.s3_throttle.uploader.requests import Requests, TasksGone, UploaderLocked, uploader_lock
from workloads.s3_throttle.uploader.spec import Spec
from workloads.s3_throttle.uploader.sync import measure, send_buffers_file

EXIT_FAULT = 1


def main() -> int:
    folder, who, timeout_s = Path(sys.argv[1]), sys.argv[2], float(sys.argv[3])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        with uploader_lock(folder, who) as lock:
            try:
                serve(Requests(), folder / "sync", timeout_s, lock)
            finally:
                shutil.rmtree(folder / "sync", ignore_errors=True)
    except UploaderLocked as first:
        print(f"tidemark-error: another run is under way: {first}|wait for its end and run again", file=sys.stderr)
        return EXIT_FAULT
    except TasksGone:
        print("the tasks that asked for syncs have gone", file=sys.stderr)
        return EXIT_FAULT
    return 0


def serve(requests: Requests, scratch: Path, timeout_s: float, lock: int) -> None:
    """Measures syncs until `done`. Raises TasksGone when the tasks are gone."""
    say({"kind": "ready"})
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
            final = measure(spec, interface, scratch, still_wanted=requests.look, not_inherited=[lock])
        except (OSError, LookupError) as fault:
            say({"kind": "fault", "what": str(fault)})
            continue
        samples = interface.samples
        say({"kind": "samples", "t": samples.t, "tx": samples.tx, "rx": samples.rx, "again": samples.again})
        say({"kind": "stops", **(final.pop("stops") or {})})
        say({"kind": "final", **final})


def say(document: dict[str, Any]) -> None:
    """Prints a record as one line."""
    print(json.dumps(document), flush=True)


if __name__ == "__main__":
    sys.exit(main())
