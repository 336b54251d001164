"""`python -m workloads.s3_throttle.uploader FOLDER WHO PATIENCE_S`: measures syncs while whoever asks for them lives.

In FOLDER is what there is of them while one runs.

A line of standard input is a sync as JSON (spec.py); an empty one is a sign of life, due every PATIENCE_S while no sync
is under way; `done` is the end. First we say {"kind":"ready"}. Nothing is printed while a sync runs: the connection
that this comes by is of the interface that is watched. After it come {"kind":"samples","t":[…],…} (kernel.Samples),
{"kind":"stops",…} (of the throttle, a list a field) and {"kind":"final",…}, a line each; or, where it could not be
begun, {"kind":"fault","what":…}.

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
from workloads.s3_throttle.uploader.claim import Taken, claimed
from workloads.s3_throttle.uploader.requests import Gone, Requests
from workloads.s3_throttle.uploader.spec import Spec
from workloads.s3_throttle.uploader.sync import measure, send_buffers_file

EXIT_FAULT = 1


def main() -> int:
    folder, who, patience_s = Path(sys.argv[1]), sys.argv[2], float(sys.argv[3])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        with claimed(folder, who) as claim:
            try:
                serve(Requests(), folder / "sync", patience_s, claim)
            finally:
                shutil.rmtree(folder / "sync", ignore_errors=True)
    except Taken as first:
        print(f"tidemark-error: another run is under way: {first}|wait for its end and run again", file=sys.stderr)
        return EXIT_FAULT
    except Gone:
        print("whoever asked for syncs is no more", file=sys.stderr)
        return EXIT_FAULT
    return 0


def serve(requests: Requests, scratch: Path, patience_s: float, claim: int) -> None:
    """Measures syncs until `done`. Raises Gone when the tasks are gone."""
    say({"kind": "ready"})
    interface: kernel.Interface | None = None
    while (line := requests.next(patience_s)) != "done":
        if not line:
            continue
        spec = Spec.from_json(line)
        try:
            if interface is None:
                interface = kernel.Interface(spec.address)
                kernel.uncap(interface.name)
                kernel.restore_send_buffers(send_buffers_file(scratch))
            final = measure(spec, interface, scratch, still_wanted=requests.look, not_the_childs=[claim])
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
