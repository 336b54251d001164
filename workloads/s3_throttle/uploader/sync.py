"""Runs one sync as a child process and measures it: its files, its command, samples of the interface each 20 ms, and
the final record.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from workloads.s3_throttle.uploader import kernel
from workloads.s3_throttle.uploader.spec import Spec, configuration, environment, sync_command, throttle_arguments
from workloads.s3_throttle.uploader.steady import LEAST_CYCLES, Curve, Steady, steady_part
from workloads.throttle.__main__ import main as throttle
from workloads.throttle.processes import signal_at_parents_end

# The CLI waits for a lost connection for a minute, five times (botocore: read_timeout, max_attempts). On a busy machine
# it starts within a quarter of this, and the throttle's pauses are shorter than a quarter.
SILENCE_S = 45.0
SILENT_BYTES = 4096  # less are SYNs, NTP and the like
END_S = 5.0
POLL_S = 0.02
CHECK_PERIODS = 50  # samples between two estimates of the mean, which take some milliseconds
# Why a sync ended.
ITSELF, KNOWN, BOUND = "itself", "known", "bound"
LOOK_PERIODS = 10  # samples between two checks that the tasks are still there


def measure(
    spec: Spec,
    interface: kernel.Interface,
    scratch: Path,
    *,
    still_wanted: Callable[[], None] = lambda: None,
) -> dict[str, Any]:
    """Runs the sync to its end, and samples the interface meanwhile; returns the final record.

    `still_wanted` raises when the tasks are gone.
    """
    source = link_files(spec)
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    report, counts, said = scratch / "report.json", scratch / "counts.json", scratch / "said"
    stops = Stops(scratch / "report.stops.ndjson")
    send_buffers = send_buffers_file(scratch)
    configuration_file = scratch / "config"
    configuration_file.write_text(configuration(spec), encoding="ascii")
    work = _work(sync_command(spec, source), throttle_arguments(spec, report))
    variables = environment(spec, configuration_file, counts)
    try:
        if spec.tc_bytes_per_s is not None:
            kernel.cap(interface.name, spec.tc_bytes_per_s)
        interface.wait_for_silence()  # of the previous sync
        interface.forget()
        busy_before = kernel.busy_and_total()
        cpu_before_s = _cpu_s()
        started_unix_s = time.time()
        if spec.send_buffer_bytes is not None:
            kernel.limit_send_buffers(spec.send_buffer_bytes, send_buffers)
        child = Child(work, variables, said)
        try:
            ended_by, steady, fault = _watch(child, interface, spec, stops, still_wanted)
        finally:
            code = child.end(END_S)
    finally:
        if spec.tc_bytes_per_s is not None:
            kernel.uncap(interface.name)
        kernel.restore_send_buffers(send_buffers)
        shutil.rmtree(source, ignore_errors=True)
    cpu_s = _cpu_s() - cpu_before_s
    busy, again = kernel.busy_and_total(), interface.samples.again
    ended_unix_s = time.time()
    sent_once = spec.sent_once(interface.samples.tx, again)
    return {
        "exit_code": code,
        "ended_by": ended_by,
        "sent_once_bytes": sent_once[-1] - sent_once[0],
        "steady_bytes_per_s": None if steady is None else steady.bytes_per_s,
        "steady_from_unix_s": None if steady is None else round(steady.from_s, 4),
        "steady_until_unix_s": None if steady is None else round(steady.until_s, 4),
        "known_to_ratio": None if steady is None else round(steady.known_to_ratio, 5),
        "started_unix_s": round(started_unix_s, 4),
        "ended_unix_s": round(ended_unix_s, 4),
        "cpu_s": round(cpu_s, 3),
        "host_busy_ratio": kernel.busy_ratio(busy_before, busy),
        "segments_sent_again": again[-1] - again[0],
        "cli": _document(counts),
        "throttle": _document(report),
        "stops": stops.read(),
        "said": fault or _last_line(said),
    }


def send_buffers_file(scratch: Path) -> Path:
    """Returns the file of the previous send buffer sizes, which outlives a killed run."""
    return scratch.with_name("tcp_wmem")


def steady_so_far(spec: Spec, samples: kernel.Samples, stops: Stops, *, ended: bool = False) -> Steady | None:
    """Returns the steady part of the samples so far."""
    at_rate = stops.read() if spec.rate_bytes_per_s is not None else []
    return steady_part(
        samples.t,
        spec.sent_once(samples.tx, samples.again),
        cycle_s=spec.cycle_s,
        target_bytes_per_s=spec.wire_target_bytes_per_s,
        resumed=[stop["t_unix_s"] + stop["stopped_s"] for stop in at_rate],
        ended=ended,
    )


def is_known(spec: Spec, steady: Steady | None) -> bool:
    """Returns whether the mean is known to the requested precision."""
    if steady is None or spec.precision_ratio is None:
        return False
    least_s = max(spec.least_s, LEAST_CYCLES * (spec.cycle_s or 0.0))
    # In floating point the sum of 20 cycles may be a little less than 20 times a cycle.
    return steady.seconds >= least_s * 0.9999 and steady.known_to_ratio <= spec.precision_ratio


class Stops:
    """The records of the throttle's stops (workloads/throttle/report.py). Each line is read once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read_bytes = 0
        self._stops: list[dict[str, Any]] = []

    def read(self) -> list[dict[str, Any]]:
        """Returns the stops until now; none where there is no such file."""
        with suppress(FileNotFoundError), self._path.open("rb") as file:
            file.seek(self._read_bytes)
            for line in file:
                if not line.endswith(b"\n"):
                    break  # it is being written
                self._read_bytes += len(line)
                self._stops.append(json.loads(line))
        return self._stops


def link_files(spec: Spec) -> Path:
    """Returns the folder of the files to sync: links to the pool's first files, repeatedly."""
    folder = Path(spec.folder)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    files = sorted(Path(spec.pool).iterdir())[: spec.pool_objects]
    if len(files) < spec.pool_objects:
        raise FileNotFoundError(f"{spec.pool} has {len(files)} files, not {spec.pool_objects}")
    for number in range(spec.objects):
        os.link(files[number % spec.pool_objects], folder / object_name(number))
    return folder


def object_name(number: int) -> str:
    """Returns the name of the file of this number, from 0 on."""
    return f"object-{number + 1:06d}"


def _work(command: list[str], arguments: list[str] | None) -> Callable[[], int]:
    """Returns the child's work: to become the CLI, or the throttle, which starts the CLI."""

    def become() -> int:
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Python ignores it, and the CLI would inherit that
        os.execve(command[0], command, dict(os.environ))

    def hold() -> int:
        sys.argv = ["throttle", *(arguments or []), "--", *command]
        return throttle()

    return become if arguments is None else hold


def _watch(
    child: Child, interface: kernel.Interface, spec: Spec, stops: Stops, still_wanted: Callable[[], None]
) -> tuple[str | None, Steady | None, str | None]:
    """Samples until the sync has ended, or should be ended. Returns why (the sync ended by itself, its mean was known,
    its time was over; None: a fault), the steady part until then, and the fault.
    """
    steady_now = partial(steady_so_far, spec, interface.samples, stops)
    started_s = moved_s = time.monotonic()
    moved_bytes: int | None = None
    looks = 0
    first_s: float | None = None
    while child.poll() is None:
        sent = interface.look_in_time()
        now_s = time.monotonic()
        if moved_bytes is None or sent - moved_bytes >= SILENT_BYTES:
            moved_bytes, moved_s = sent, now_s
        if now_s - moved_s > SILENCE_S:
            return None, steady_now(), f"nothing was sent for {SILENCE_S:.0f} s, so it was ended"
        if now_s - started_s > spec.limit_s:
            return None, steady_now(), f"it had not ended after {spec.limit_s:.0f} s, so it was ended"
        looks += 1
        if looks % LOOK_PERIODS == 0:
            still_wanted()
        if spec.precision_ratio is not None and looks % CHECK_PERIODS == 0:
            steady = steady_now()
            if is_known(spec, steady):
                return KNOWN, steady, None
            first_s = first_s or Curve(interface.samples.t, interface.samples.tx).first()
            if first_s is not None and interface.samples.t[-1] - first_s >= spec.most_s:
                return BOUND, steady, None
    interface.look()
    return ITSELF, steady_now(ended=True), None


def _cpu_s() -> float:
    """Returns the processor time of all children that have been waited for."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _document(path: Path) -> Any:
    """Returns the file's content; None where its writer did not finish."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _last_line(path: Path) -> str | None:
    """Returns the end of the CLI's output; the throttle's is in its report."""
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    own = [line for line in lines if line.strip() and not line.startswith("throttle: ")]
    return own[-1][:500] if own else None


class Child:
    """A process group that ends when this process ends, in whatever way: runs `work`, which returns the exit code, in a
    forked process with a session of its own. Of this process's descriptors it gets none: the run's lock must not
    outlive this process.

    Forked, so that a Python program that is loaded already need not be started: that takes a rehearsal's host a second,
    ten times as long as everything else between two syncs. The calling process must have one thread.
    """

    def __init__(self, work: Callable[[], int], environment: Mapping[str, str], output: Path) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        self.returncode: int | None = None
        self.pid = os.fork()
        if self.pid == 0:
            _become(work, environment, output)

    def poll(self) -> int | None:
        """Returns the exit code, or minus the number of the signal that ended it; None while it runs."""
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def end(self, timeout_s: float) -> int:
        """Terminates the group, and kills it after so many seconds; returns the exit code."""
        deadline_s = time.monotonic() + timeout_s
        if self.poll() is None:
            # The throttle passes the signal on, and continues the processes that it has stopped.
            self._signal(signal.SIGTERM)
        while (code := self.poll()) is None:
            if time.monotonic() >= deadline_s:
                self._signal(signal.SIGKILL)
            time.sleep(POLL_S)
        return code

    def _signal(self, signum: int) -> None:
        """Signals the group, or the process that does not lead one yet."""
        try:
            os.killpg(self.pid, signum)
        except ProcessLookupError:
            os.kill(self.pid, signum)


def _become(work: Callable[[], int], environment: Mapping[str, str], output: Path) -> NoReturn:
    code = 1
    try:
        os.setsid()
        signal_at_parents_end(signal.SIGTERM)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.closerange(3, os.sysconf("SC_OPEN_MAX"))
        nowhere, words = os.open(os.devnull, os.O_RDONLY), os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        for descriptor, ours in ((nowhere, 0), (words, 1), (words, 2)):
            os.dup2(descriptor, ours)
        sys.stdout, sys.stderr = (
            os.fdopen(descriptor, "w", errors="backslashreplace", closefd=False) for descriptor in (1, 2)
        )
        os.environ.clear()
        os.environ.update(environment)
        code = work()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
