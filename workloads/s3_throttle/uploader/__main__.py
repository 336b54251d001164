"""`python -m workloads.s3_throttle.uploader SPEC`: one sync, measured. SPEC is JSON (spec.py).

Nothing is printed while it runs: the connection that this comes by is of the interface that is watched. Then two lines
of JSON: {"kind":"samples","t":[…],"tx":[…],"rx":[…]} and {"kind":"final",…}.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from workloads.s3_throttle.uploader import kernel
from workloads.s3_throttle.uploader.command import configuration, environment, sync_command
from workloads.s3_throttle.uploader.spec import Spec


def main() -> int:
    spec = Spec.from_json(sys.argv[1])
    interface = kernel.Interface(spec.address)
    kernel.uncap(interface.name)
    with tempfile.TemporaryDirectory(prefix="tidemark-s3-") as scratch:
        final = measure(spec, interface, Path(scratch))
    samples = interface.samples
    print(json.dumps({"kind": "samples", "t": samples.t, "tx": samples.tx, "rx": samples.rx}))
    print(json.dumps({"kind": "final", **final}))
    return 0


def measure(spec: Spec, interface: kernel.Interface, scratch: Path) -> dict[str, Any]:
    """Runs the sync to its end, and looks at the interface meanwhile."""
    source = Path(spec.folder)
    shutil.rmtree(source, ignore_errors=True)
    link_files(Path(spec.pool), source, spec.objects)
    report, counts, said = scratch / "report.json", scratch / "counts.json", scratch / "said"
    configuration_file = scratch / "config"
    configuration_file.write_text(configuration(spec), encoding="ascii")
    command = sync_command(spec, source, report)
    variables = environment(spec, configuration_file, counts)
    if spec.tc_bytes_per_s is not None:
        kernel.cap(interface.name, spec.tc_bytes_per_s)
    before = kernel.busy_and_total(), kernel.segments_sent_again()
    started_unix_s = time.time()
    try:
        with said.open("wb") as output:
            process = subprocess.Popen(
                command, env=variables, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
            )
            ended = _watch(process, interface, spec.limit_s)
    finally:
        if spec.tc_bytes_per_s is not None:
            kernel.uncap(interface.name)
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    (busy, total), sent_again = kernel.busy_and_total(), kernel.segments_sent_again()
    shutil.rmtree(source, ignore_errors=True)
    return {
        "exit_code": ended,
        "started_unix_s": round(started_unix_s, 4),
        "ended_unix_s": round(time.time(), 4),
        "cpu_s": round(usage.ru_utime + usage.ru_stime, 3),
        "host_busy_ratio": round((busy - before[0][0]) / max(1, total - before[0][1]), 4),
        "segments_sent_again": sent_again - before[1],
        "cli": _document(counts),
        "throttle": _document(report),
        "said": _last_line(said, of_throttle=spec.throttled),
    }


def link_files(pool: Path, folder: Path, count: int) -> None:
    """The first files of the pool under their own names in a folder: links, so that nothing is copied."""
    folder.mkdir(parents=True)
    for file in sorted(pool.iterdir())[:count]:
        os.link(file, folder / file.name)


def _watch(process: subprocess.Popen[bytes], interface: kernel.Interface, limit_s: float) -> int:
    """The exit code; what has not ended in that time, or when we are told to end, is killed, children and all."""
    deadline_s = time.monotonic() + limit_s
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        while process.poll() is None and time.monotonic() < deadline_s:
            interface.look_in_time()
    finally:
        if process.poll() is None:
            # The throttle passes it on, and lets go of what it holds.
            os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
    interface.look()
    return process.returncode


def _document(path: Path) -> Any:
    """What is in the file, None where it was not written: whatever was to do so did not come to its end."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _last_line(path: Path, *, of_throttle: bool) -> str | None:
    """The CLI's last words; the throttle's are in its report."""
    lines = [line for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    own = [line for line in lines if not (of_throttle and line.startswith("throttle: "))]
    return own[-1][:500] if own else None


if __name__ == "__main__":
    sys.exit(main())
