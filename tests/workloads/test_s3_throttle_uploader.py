"""What measures a sync on the uploader: real processes here, the AWS CLI a script that does as it is told."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.workloads.throttle.real import sink
from workloads.s3_throttle.uploader import counts, kernel, sync
from workloads.s3_throttle.uploader.__main__ import Requests, TasksGone
from workloads.s3_throttle.uploader.kernel import Interface
from workloads.s3_throttle.uploader.spec import Spec
from workloads.s3_throttle.uploader.sync import Child, measure, send_buffers_file

HANGS = "echo begun; exec sleep 60"


def no_more(pid: int) -> bool:
    """Whether that process has ended; a zombie has."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def within(seconds: float, true: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


@pytest.fixture
def interface() -> Interface:
    return Interface("127.0.0.1")


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    return tmp_path / "scratch"


def spec(folder: Path, does: str, **changes: object) -> Spec:
    """A sync of two files by a "CLI" that does this."""
    aws, pool = folder / "aws", folder / "pool"
    aws.write_text(f"#!/bin/bash\n{does}\n")
    aws.chmod(0o755)
    pool.mkdir()
    for number in range(3):
        (pool / f"object-{number}").write_bytes(str(number).encode())
    known: dict[str, object] = {
        "aws": str(aws),
        "pool": str(pool),
        "pool_objects": 2,
        "folder": str(folder / "cell"),
        "objects": 2,
        "bucket": "b",
        "prefix": "stack/run/cell/",
        "region": "eu-central-1",
        "endpoint": None,
        "address": "127.0.0.1",
        "limit_s": 60.0,
    }
    return Spec(**{**known, **changes})  # type: ignore[arg-type]


class TestSync:
    def test_the_exit_code_the_last_words_and_what_was_there(
        self, tmp_path: Path, scratch: Path, interface: Interface
    ) -> None:
        looks = f'ls {tmp_path}/cell; echo "$AWS_CONFIG_FILE" >&2; cat > {tmp_path}/input'
        does = f'{looks}; echo "fatal error: no" >&2; exit 3'
        final = measure(spec(tmp_path, does), interface, scratch)
        assert (final["exit_code"], final["said"], final["throttle"], final["cli"]) == (
            3,
            "fatal error: no",
            None,
            None,
        )
        assert (scratch / "said").read_text().split()[:3] == ["object-000001", "object-000002", f"{scratch}/config"]
        assert (tmp_path / "input").read_bytes() == b""
        assert len(interface.samples.t) >= 1
        assert not (tmp_path / "cell").exists()

    def test_behind_the_throttle(self, tmp_path: Path, scratch: Path, interface: Interface) -> None:
        found = spec(tmp_path, "sleep 0.5; echo 'upload failed' >&2; exit 1", stop_s=0.05, run_s=0.05)
        final = measure(found, interface, scratch)
        assert (final["exit_code"], final["said"]) == (1, "upload failed")
        assert (final["throttle"]["mode"], final["throttle"]["exit_code"]) == ("duty-cycle", 1)

    def test_the_cpu_time_is_this_syncs_alone(self, tmp_path: Path, scratch: Path, interface: Interface) -> None:
        subprocess.run([sys.executable, "-c", "for _ in range(5_000_000): pass"], check=True)
        assert measure(spec(tmp_path, "true"), interface, scratch)["cpu_s"] < 0.1

    def test_one_that_sends_nothing_any_more_is_ended(
        self, tmp_path: Path, scratch: Path, interface: Interface, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sync, "SILENCE_S", 0.5)
        monkeypatch.setattr(sync, "SILENT_BYTES", 1 << 60)
        final = measure(spec(tmp_path, HANGS), interface, scratch)
        assert (final["exit_code"], final["said"]) == (-15, "nothing was sent for 0 s, so it was ended")

    def test_one_that_takes_too_long_is_ended(self, tmp_path: Path, scratch: Path, interface: Interface) -> None:
        final = measure(spec(tmp_path, HANGS, limit_s=0.3), interface, scratch)
        assert (final["exit_code"], final["said"]) == (-15, "it had not ended after 0 s, so it was ended")

    @pytest.mark.parametrize("held", [{}, {"stop_s": 5.0, "run_s": 0.05}], ids=["free", "throttled"])
    def test_nothing_is_left_of_one_that_nobody_wants_any_more(
        self, held: dict[str, object], tmp_path: Path, scratch: Path, interface: Interface
    ) -> None:
        note = tmp_path / "pid"

        def gone() -> None:
            if note.exists() and note.read_text().strip():
                raise TasksGone

        with pytest.raises(TasksGone):
            measure(spec(tmp_path, f"echo $$ > {note}; {HANGS}", **held), interface, scratch, still_wanted=gone)
        assert within(120, lambda: no_more(int(note.read_text())))
        assert not (tmp_path / "cell").exists()

    def test_the_pool_s_files_come_over_and_over(self, tmp_path: Path, scratch: Path, interface: Interface) -> None:
        measure(spec(tmp_path, f"cat {tmp_path}/cell/* > {tmp_path}/read", objects=5), interface, scratch)
        assert (tmp_path / "read").read_text() == "01010"

    @pytest.mark.parametrize(
        ("held", "pause_s", "ended_by"),
        [({}, 0.01, "known"), ({"stop_s": 0.06, "run_s": 0.06}, 0.01, "known"), ({}, 0.9, "bound")],
        ids=["steady", "throttled", "bursts"],
    )
    def test_one_is_ended_when_its_mean_is_known_or_its_time_is_over(
        self,
        held: dict[str, object],
        pause_s: float,
        ended_by: str,
        tmp_path: Path,
        scratch: Path,
        interface: Interface,
    ) -> None:
        """It sends 256 KiB after each pause."""
        precision_ratio = 0.5 if ended_by == "known" else 0.001
        with sink() as target:
            program = f"""
import socket, time
with socket.create_connection(("127.0.0.1", {target.port})) as connection:
    while True:
        connection.sendall(bytes(262144))
        time.sleep({pause_s})
"""
            (tmp_path / "program.py").write_text(program)
            asked = spec(
                tmp_path,
                f"exec {sys.executable} -S {tmp_path}/program.py",
                precision_ratio=precision_ratio,
                least_s=1.5,
                most_s=20.0 if ended_by == "known" else 2.5,
                **held,
            )
            final = measure(asked, interface, scratch)
        assert final["ended_by"] == ended_by
        assert final["exit_code"] == (128 + signal.SIGTERM if held else -signal.SIGTERM)
        steady_s = final["steady_until_unix_s"] - final["steady_from_unix_s"]
        assert steady_s >= (2.39 if held else 1.5)  # twenty cycles
        assert final["steady_until_unix_s"] <= interface.samples.t[-1]
        assert (final["known_to_ratio"] <= precision_ratio) == (ended_by == "known")
        stops = final["stops"]
        assert len(stops) >= 15 if held else stops == []
        fields = {"t_unix_s", "stopped_s", "unacked_bytes", "notsent_bytes", "acked_bytes"}
        assert all(stop.keys() == fields for stop in stops)

    @pytest.mark.parametrize("ends", ["in order", "nobody wants it"])
    def test_send_buffers_are_small_for_that_sync_alone(
        self, ends: str, tmp_path: Path, scratch: Path, interface: Interface, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        sizes, seen = tmp_path / "sizes", tmp_path / "seen"
        sizes.write_text("4096\t16384\t4194304\n")
        monkeypatch.setattr(kernel, "SEND_BUFFERS", sizes)

        def gone() -> None:
            if seen.exists() and seen.read_text().strip():
                raise TasksGone

        if ends == "in order":
            measure(spec(tmp_path, f"cat {sizes} > {seen}", send_buffer_bytes=8192), interface, scratch)
        else:
            asked = spec(tmp_path, f"cat {sizes} > {seen}; {HANGS}", send_buffer_bytes=8192)
            with pytest.raises(TasksGone):
                measure(asked, interface, scratch, still_wanted=gone)
        assert seen.read_text() == "4096 8192 8192\n"
        assert sizes.read_text() == "4096\t16384\t4194304\n"
        assert not send_buffers_file(scratch).exists()

    def test_what_a_run_that_was_killed_has_made_small_is_given_back(
        self, tmp_path: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        sizes = tmp_path / "sizes"
        sizes.write_text("4096 16384 4194304\n")
        monkeypatch.setattr(kernel, "SEND_BUFFERS", sizes)
        kernel.limit_send_buffers(2048, send_buffers_file(scratch))
        assert sizes.read_text() == "2048 2048 2048\n"
        kernel.restore_send_buffers(send_buffers_file(scratch))
        assert sizes.read_text() == "4096 16384 4194304\n"
        sizes.write_text("a person's own\n")
        kernel.restore_send_buffers(send_buffers_file(scratch))
        assert sizes.read_text() == "a person's own\n"

    @pytest.mark.parametrize("held", [False, True])
    def test_the_lock_of_the_run_is_not_handed_on(
        self, held: bool, tmp_path: Path, scratch: Path, interface: Interface
    ) -> None:
        """Else a command that outlives its uploader would keep the next run from beginning."""
        lock, seen = os.open(tmp_path / "claim", os.O_RDWR | os.O_CREAT), tmp_path / "seen"
        os.set_inheritable(lock, True)
        cycle = {"stop_s": 0.1, "run_s": 0.1} if held else {}
        measure(spec(tmp_path, f"readlink /proc/self/fd/* > {seen}", **cycle), interface, scratch)
        os.close(lock)
        assert seen.read_text()
        assert "claim" not in seen.read_text()

    def test_no_cap_stays_on_the_interface(
        self, tmp_path: Path, scratch: Path, interface: Interface, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        done: list[str] = []
        monkeypatch.setattr(kernel, "cap", lambda name, bytes_per_s: done.append(f"{name} {bytes_per_s}"))
        monkeypatch.setattr(kernel, "uncap", done.append)

        def gone() -> None:
            raise TasksGone

        with pytest.raises(TasksGone):
            measure(spec(tmp_path, HANGS, tc_bytes_per_s=7), interface, scratch, still_wanted=gone)
        assert done == ["lo 7", "lo"]

    def test_no_cap_stays_when_the_program_is_ended_before_the_sync_begins(
        self, tmp_path: Path, scratch: Path, interface: Interface, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It waits for seconds until the interface is silent."""
        done: list[str] = []
        monkeypatch.setattr(kernel, "cap", lambda name, bytes_per_s: done.append(f"{name} {bytes_per_s}"))
        monkeypatch.setattr(kernel, "uncap", done.append)
        monkeypatch.setattr(interface, "wait_for_silence", lambda: sys.exit(143))
        with pytest.raises(SystemExit):
            measure(spec(tmp_path, HANGS, tc_bytes_per_s=7), interface, scratch)
        assert done == ["lo 7", "lo"]
        assert not (tmp_path / "cell").exists()

    def test_a_cli_that_is_not_there_is_said(self, tmp_path: Path, scratch: Path, interface: Interface) -> None:
        final = measure(spec(tmp_path, "", aws="/nowhere/aws"), interface, scratch)
        assert final["exit_code"] == 1
        assert "No such file or directory" in final["said"]

    def test_no_files_is_a_fault(self, tmp_path: Path, scratch: Path, interface: Interface) -> None:
        with pytest.raises(FileNotFoundError, match="/nowhere"):
            measure(spec(tmp_path, "", pool="/nowhere"), interface, scratch)


def test_a_child_ends_with_its_parent_even_when_that_is_killed(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    program = f"""
import os, signal, time
from pathlib import Path
from workloads.s3_throttle.uploader.sync import Child
child = Child(lambda: time.sleep(60) or 0, os.environ, Path({str(tmp_path / "said")!r}))
Path({str(note)!r}).write_text(str(child.pid))
time.sleep(0.5)
os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", program], check=False, timeout=120)
    assert done.returncode == -signal.SIGKILL
    assert within(120, lambda: no_more(int(note.read_text())))


def test_a_child_that_hears_nothing_is_killed(tmp_path: Path) -> None:
    def deaf() -> int:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        print("deaf", flush=True)
        time.sleep(60)
        return 0

    child = Child(deaf, dict(os.environ), tmp_path / "said")
    assert within(10, lambda: (tmp_path / "said").exists() and "deaf" in (tmp_path / "said").read_text())
    assert child.end(0.2) == -signal.SIGKILL


def test_a_child_may_say_what_its_encoding_does_not_have(tmp_path: Path) -> None:
    program = f"""
import os
from pathlib import Path
from workloads.s3_throttle.uploader.sync import Child
child = Child(lambda: print("f\\u00fcr") or 0, os.environ, Path({str(tmp_path / "said")!r}))
raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(child.pid, 0)[1]))
"""
    latin = {**os.environ, "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LC_ALL": "C"}
    assert subprocess.run([sys.executable, "-c", program], env=latin, check=False, timeout=120).returncode == 0
    assert (tmp_path / "said").read_text() == "f\\xfcr\n"


def test_a_child_can_be_ended_before_it_leads_a_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.setsid", lambda: time.sleep(60))
    child = Child(lambda: 0, dict(os.environ), tmp_path / "said")
    assert child.end(10) == -signal.SIGTERM


def test_a_counter_that_the_kernel_sets_back_goes_on_from_where_it_was(
    tmp_path: Path, interface: Interface, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = [tmp_path / "tx", tmp_path / "rx"]
    monkeypatch.setattr(interface, "_files", [os.open(each, os.O_RDWR | os.O_CREAT) for each in shown])
    for tx, rx in ((1000, 10), (1500, 10), (200, 10), (300, 5)):
        shown[0].write_text(f"{tx}\n")
        shown[1].write_text(f"{rx}\n")
        interface.look()
    assert [sent - interface.samples.tx[0] for sent in interface.samples.tx] == [0, 500, 700, 800]
    assert [received - interface.samples.rx[0] for received in interface.samples.rx] == [0, 0, 0, 5]


def test_a_clock_that_is_set_back_does_not_take_the_samples_along(
    interface: Interface, monkeypatch: pytest.MonkeyPatch
) -> None:
    interface.look()
    monkeypatch.setattr("time.time", lambda: 0.0)
    interface.look()
    before, after = interface.samples.t
    assert 0 <= after - before < 60


def test_what_is_sent_again_is_no_progress() -> None:
    tx = [0, 15_140, 30_280, 45_420]
    assert kernel.without_retransmissions(tx, [5, 5, 5, 5]) == tx
    assert kernel.without_retransmissions(tx, [5, 5, 10, 10]) == [0, 15_140, 22_710, 37_850]
    # Counted before it is sent.
    assert kernel.without_retransmissions(tx, [5, 20, 20, 20]) == [0, 0, 7_570, 22_710]


def test_the_kernel_tells_what_was_sent_again() -> None:
    shown = Path("/proc/net/snmp").read_bytes()
    assert kernel.segments_sent_again(shown) >= 0
    made = b"Ip: A B\nIp: 1 2\nTcp: OutSegs RetransSegs InErrs\nTcp: 10 4 0\nUdp: X\nUdp: 9\n"
    assert kernel.segments_sent_again(made) == 4


def test_ticks_that_have_gone_back_tell_nothing() -> None:
    assert kernel.busy_ratio((100, 1000), (150, 1100)) == 0.5
    assert kernel.busy_ratio((100, 1000), (150, 990)) is None
    assert kernel.busy_ratio((100, 1000), (100, 1000)) is None


def test_requests_are_counted_as_they_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a CLI that is killed has told them."""
    monkeypatch.setattr(counts, "_counts", {"attempts": 0, "retries": 0, "failures": 0})
    monkeypatch.setattr(counts, "_file", None)
    monkeypatch.setenv(counts.FILE, str(tmp_path / "counts"))
    counts.awscli_initialize(SimpleNamespace(register=lambda *_: None))
    shown = []
    for attempts, response, fault in ((1, 200, None), (1, None, TimeoutError()), (2, 200, None), (1, 503, None)):
        shown.append(json.loads((tmp_path / "counts").read_text()))
        answer = None if response is None else (SimpleNamespace(status_code=response), None)
        counts._count(attempts=attempts, response=answer, caught_exception=fault)
    assert shown[0] == {"attempts": 0, "retries": 0, "failures": 0}
    assert json.loads((tmp_path / "counts").read_text()) == {"attempts": 4, "retries": 1, "failures": 2}


class TestRequests:
    def test_lines_then_the_end(self) -> None:
        ours, theirs = os.pipe()
        requests = Requests(ours)
        requests.look()
        os.write(theirs, b"one\n\ntw")
        assert (requests.next(1), requests.next(1)) == ("one", "")
        os.write(theirs, b"o\n")
        requests.look()
        assert requests.next(1) == "two"
        os.close(theirs)
        with pytest.raises(TasksGone):
            requests.look()
        with pytest.raises(TasksGone):
            requests.next(1)
        os.close(ours)

    def test_who_gives_no_sign_is_gone(self) -> None:
        ours, theirs = os.pipe()
        with pytest.raises(TasksGone):
            Requests(ours).next(0.05)
        os.close(ours)
        os.close(theirs)
