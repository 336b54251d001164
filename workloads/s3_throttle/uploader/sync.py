"""One sync, measured: its files, its command, a look at the interface each 20 ms, and what it says at the end."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from workloads.s3_throttle.uploader import kernel
from workloads.s3_throttle.uploader.child import Child
from workloads.s3_throttle.uploader.command import configuration, environment, sync_command, throttle_arguments
from workloads.s3_throttle.uploader.spec import Spec
from workloads.throttle.__main__ import main as throttle

# The CLI waits for a lost connection for a minute, five times over (botocore: read_timeout, max_attempts). It starts in
# a quarter of this on a busy machine, and no pause of the throttle's is a quarter as long.
SILENCE_S = 45.0
SILENT_BYTES = 4096  # less is SYNs, and what is said of the clock and the like
END_S = 5.0
LOOK_PERIODS = 10  # looks at the interface for one at whoever asked for this


def measure(
    spec: Spec,
    interface: kernel.Interface,
    scratch: Path,
    *,
    still_wanted: Callable[[], None] = lambda: None,
    not_the_childs: Iterable[int] = (),
) -> dict[str, Any]:
    """Runs the sync to its end, and looks at the interface meanwhile; `still_wanted` raises when that is in vain."""
    source = Path(spec.folder)
    shutil.rmtree(source, ignore_errors=True)
    link_files(Path(spec.pool), source, spec.objects)
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    report, counts, said = scratch / "report.json", scratch / "counts.json", scratch / "said"
    configuration_file = scratch / "config"
    configuration_file.write_text(configuration(spec), encoding="ascii")
    work = _work(sync_command(spec, source), throttle_arguments(spec, report))
    variables = environment(spec, configuration_file, counts)
    if spec.tc_bytes_per_s is not None:
        kernel.cap(interface.name, spec.tc_bytes_per_s)
    interface.forget()
    (busy_before, total_before), again_before = kernel.busy_and_total(), kernel.segments_sent_again()
    cpu_before_s = _cpu_s()
    started_unix_s = time.time()
    try:
        child = Child(work, variables, said, not_the_childs)
        try:
            words = _watch(child, interface, spec.limit_s, still_wanted)
        finally:
            code = child.end(END_S)
        interface.look()
    finally:
        if spec.tc_bytes_per_s is not None:
            kernel.uncap(interface.name)
        shutil.rmtree(source, ignore_errors=True)
    cpu_s = _cpu_s() - cpu_before_s
    (busy, total), sent_again = kernel.busy_and_total(), kernel.segments_sent_again()
    return {
        "exit_code": code,
        "started_unix_s": round(started_unix_s, 4),
        "ended_unix_s": round(time.time(), 4),
        "cpu_s": round(cpu_s, 3),
        "host_busy_ratio": round((busy - busy_before) / max(1, total - total_before), 4),
        "segments_sent_again": sent_again - again_before,
        "cli": _document(counts),
        "throttle": _document(report),
        "said": words or _last_line(said, of_throttle=spec.throttled),
    }


def link_files(pool: Path, folder: Path, count: int) -> None:
    """The first files of the pool under their own names in a folder: links, so that nothing is copied."""
    folder.mkdir(parents=True)
    for file in sorted(pool.iterdir())[:count]:
        os.link(file, folder / file.name)


def _work(command: list[str], arguments: list[str] | None) -> Callable[[], int]:
    """What the child does: it becomes the CLI, or it is the throttle, which starts that."""

    def become() -> int:
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Python ignores it, and others would inherit that
        os.execve(command[0], command, dict(os.environ))

    def hold() -> int:
        sys.argv = ["throttle", *(arguments or []), "--", *command]
        return throttle()

    return become if arguments is None else hold


def _watch(child: Child, interface: kernel.Interface, limit_s: float, still_wanted: Callable[[], None]) -> str | None:
    """Looks until it has ended. What has not by then, or sends nothing any more, is left to be ended: words say why."""
    started_s = moved_s = time.monotonic()
    moved_bytes: int | None = None
    looks = 0
    while child.poll() is None:
        sent = interface.look_in_time()
        now_s = time.monotonic()
        if moved_bytes is None or sent - moved_bytes >= SILENT_BYTES:
            moved_bytes, moved_s = sent, now_s
        if now_s - moved_s > SILENCE_S:
            return f"nothing was sent for {SILENCE_S:.0f} s, so it was ended"
        if now_s - started_s > limit_s:
            return f"it had not ended after {limit_s:.0f} s, so it was ended"
        looks += 1
        if looks % LOOK_PERIODS == 0:
            still_wanted()
    return None


def _cpu_s() -> float:
    """Of all children that have ended and been waited for."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


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
