"""The whole tool on real processes: what it passes on and refuses, that it lets go, and a generous look at the rate."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import random
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.machine import in_time, repeated_when_delayed
from tests.workloads.throttle.real import (
    PATIENCE_S,
    ROOT,
    Sink,
    descendants,
    end_of_group,
    hear_a_hangup,
    is_held,
    is_stopped,
    name_of,
    read_numbers,
    run_throttle,
    sender,
    shell,
    sink,
    start_throttle,
    state_of,
    wait_until,
)
from workloads.s3_throttle.uploader.steady import steady_part
from workloads.throttle.display import NOTHING_MOVED_S
from workloads.throttle.processes import children

MIB = 2**20
CYCLE = ("--stop", 0.05, "--run", 0.05)
# Nearly always stopped: whatever needs the command to run shows at once when it does not get to.
MOSTLY_STOPPED = ("--stop", 9.0, "--run", 0.05)


# What is passed on


@pytest.mark.parametrize("pace", [("--rate", "1 MiB/s"), CYCLE])
def test_output_and_exit_code_are_the_command_s(pace: tuple[object, ...]) -> None:
    done = run_throttle(*pace, "--", "sh", "-c", "cat; echo done; exit 7", text="hello\n")
    assert done.returncode == 7
    assert done.stdout == "hello\ndone\n"
    assert all(line.startswith("throttle: ") for line in done.stderr.splitlines())
    assert len(done.stderr.splitlines()) >= 2


def test_a_command_that_a_signal_ended_has_its_exit_code() -> None:
    assert run_throttle(*CYCLE, "--", "sh", "-c", "kill -TERM $$").returncode == 128 + signal.SIGTERM


def test_it_says_how_the_rate_was_understood() -> None:
    done = run_throttle("--rate", "16Mbit/s", "--", "true")
    assert "held to 16 Mbit/s, which is 2,000,000 bytes a second" in done.stderr


def test_it_is_scheduled_before_what_it_holds() -> None:
    """Where that is allowed: to stop threads in time it must not wait for its turn among them."""
    with shell("sleep 60") as held:
        throttle = start_throttle("--rate", "1 MB/s", "--pid", held.pid)
        with end_of_group(throttle):
            allowed = os.geteuid() == 0
            expected = os.SCHED_RR | os.SCHED_RESET_ON_FORK if allowed else os.SCHED_OTHER
            wait_until(lambda: os.sched_getscheduler(throttle.pid) == expected, "it waits for its turn")
            assert os.sched_getscheduler(held.pid) == os.SCHED_OTHER


def test_a_command_is_scheduled_as_without() -> None:
    done = run_throttle(*CYCLE, "--", sys.executable, "-c", "import os; print(os.sched_getscheduler(0))")
    assert done.stdout.split() == [str(os.sched_getscheduler(0))]


def test_a_command_that_can_not_be_run_is_one_line(tmp_path: Path) -> None:
    nothing = run_throttle(*CYCLE, "--", tmp_path / "nothing")
    assert nothing.returncode == 127
    assert nothing.stderr.splitlines() == [
        f"throttle: {tmp_path}/nothing: No such file or directory; name a program, by its path or one on PATH"
    ]
    plain = tmp_path / "plain"
    plain.write_text("no program\n")
    refused = run_throttle(*CYCLE, "--", plain)
    assert refused.returncode == 126
    assert "Permission denied" in refused.stderr


@pytest.mark.parametrize("what", ["grep -E ^Sig(Blk|Ign|Cgt) /proc/self/status", "ls /proc/self/fd"])
def test_the_command_gets_what_it_would_have_got_without(what: str) -> None:
    """Signals as they were, no descriptor more."""
    command = what.split()
    without = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True, preexec_fn=hear_a_hangup
    )
    assert run_throttle(*CYCLE, "--", *command).stdout == without.stdout


def test_a_signal_that_was_to_be_ignored_stays_ignored() -> None:
    """As nohup asks for."""
    words = "-m workloads.throttle --stop 0.05 --run 0.05 -- grep ^SigIgn /proc/self/status"
    script = f"trap '' HUP; exec {sys.executable} {words}"
    done = subprocess.run(["sh", "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert int(done.stdout.split()[1], 16) & 1 << (signal.SIGHUP - 1)


def test_the_command_is_in_the_throttle_s_process_group() -> None:
    """So that it is in the foreground of a terminal when the throttle is."""
    process = start_throttle(*CYCLE, "--", "sh", "-c", "ps -o pgid= -p $$; sleep 60")
    with end_of_group(process):
        assert read_numbers(process, 1) == [process.pid]


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT])
def test_a_signal_is_passed_on_and_ends_a_pause(signum: int, tmp_path: Path) -> None:
    script = f"trap 'exit 9' {signum:d}; while :; do sleep 0.02; done"
    report_path = tmp_path / "report.json"
    process = start_throttle(*MOSTLY_STOPPED, "--report", report_path, "--", "sh", "-c", script)
    with end_of_group(process):
        (command,) = _wait_for_command(process)
        wait_until(lambda: is_held(command), "it is not held back")
        os.kill(process.pid, signum)
        assert process.wait(PATIENCE_S) in (9, 128 + signum)  # the trap may not have been set yet
    assert json.loads(report_path.read_text())["longest_pause_s"] < MOSTLY_STOPPED[1]


def test_a_signal_that_the_command_takes_for_a_word_does_not_end_the_throttle() -> None:
    process = start_throttle(*CYCLE, "--", "sh", "-c", "trap 'echo 5' USR1; echo 1; while :; do sleep 0.02; done")
    with end_of_group(process):
        read_numbers(process, 1)
        os.kill(process.pid, signal.SIGUSR1)
        assert read_numbers(process, 1) == [5]
        assert process.poll() is None


def _wait_for_command(process: subprocess.Popen[str]) -> list[int]:
    """The command's pid, in a list; the watchdog is its parent."""
    wait_until(lambda: bool(descendants(process.pid)[1:]), "no command is started")
    (watchdog,) = children(process.pid)
    return children(watchdog)


def test_what_the_command_leaves_behind_is_held_back_as_well() -> None:
    """Its parent has ended before anybody saw the two together."""
    script = "sh -c 'sleep 60 & echo $!'; sleep 60; true"
    process = start_throttle("--stop", 0.05, "--run", 0.5, "--", "sh", "-c", script)
    with end_of_group(process):
        (orphan,) = read_numbers(process, 1)
        (watchdog,) = children(process.pid)
        wait_until(lambda: orphan in children(watchdog), "it went to somebody else")
        wait_until(lambda: is_stopped(orphan), "it is not held back")
        process.terminate()
        assert process.wait(PATIENCE_S) == 143
        assert not is_stopped(orphan)


# What is refused


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--rate", "2", "--", "true"], "has no unit"),
        (["--rate", "2 MiB/s", "--pid", "1"], "pid 1 is the system's first process"),
        (["--rate", "2 MiB/s", "--pid", str(2**22 + 1)], "is gone"),
        (["--rate", "2 MiB/s", "--stop", "1", "--run", "1", "--", "true"], "give one or the other"),
        (["--rate", "2 MiB/s", "--pid", str(os.getpid())], "has started this throttle"),
        (["--rate", "2 MiB/s", "--report", "/nowhere/report.json", "--", "true"], "--report /nowhere/report.json"),
        (["--rate", "2 MiB/s", "--report", "", "--", "true"], "--report '' names no file"),
        (["--rate", "2 MiB/s", "--report", "/tmp", "--", "true"], "--report /tmp: Is a directory"),
    ],
)
def test_a_wrong_call_is_one_line_and_exit_code_2(arguments: list[str], words: str) -> None:
    done = run_throttle(*arguments)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("throttle: ")
    assert words in line
    assert done.stdout == ""


# Letting go


def test_a_process_is_held_back_until_an_interrupt_and_then_let_go() -> None:
    with shell("sleep 60 & echo $!; wait") as target:
        (child,) = read_numbers(target, 1)
        process = start_throttle(*MOSTLY_STOPPED, "--pid", target.pid)
        with end_of_group(process):
            wait_until(lambda: is_stopped(target.pid) and is_stopped(child), "they are not held back")
            process.send_signal(signal.SIGINT)
            assert process.wait(PATIENCE_S) == 128 + signal.SIGINT
        assert not is_stopped(target.pid)
        assert not is_stopped(child)
        assert target.poll() is None


def test_it_ends_with_the_process_that_it_holds_back() -> None:
    with shell("read word; exit 3") as target:
        process = start_throttle("--rate", "1 MiB/s", "--pid", target.pid)
        with end_of_group(process):
            assert process.stderr is not None
            assert "held to 1 MiB/s" in process.stderr.readline()
            assert target.stdin is not None
            target.stdin.write("end\n")
            target.stdin.flush()
            assert process.wait(PATIENCE_S) == 0


def test_a_process_that_was_stopped_before_is_left_as_it_was() -> None:
    with shell("sleep 60 & echo $!; sleep 60 & echo $!; wait") as target:
        theirs, ours = read_numbers(target, 2)
        os.kill(theirs, signal.SIGSTOP)
        wait_until(lambda: is_stopped(theirs), "SIGSTOP did not reach it")
        process = start_throttle(*CYCLE, "--pid", target.pid)
        with end_of_group(process):
            wait_until(lambda: is_stopped(ours), "it is not held back")
            wait_until(lambda: not is_stopped(ours), "it is not continued")
            process.terminate()
            assert process.wait(PATIENCE_S) == 128 + signal.SIGTERM
        assert is_stopped(theirs)
        assert not is_stopped(ours)


@pytest.mark.parametrize("started", [True, False], ids=["command", "pid"])
def test_killed_at_any_moment_it_leaves_nothing_stopped(started: bool) -> None:
    """And the command alive: the kernel would hang up on it, if its group were orphaned while it is stopped."""
    moments = random.Random(7)
    with sink() as target:
        one = " ".join(f"'{word}'" for word in sender(target.port))
        script = f"{one} & sleep 0.05; {one} & wait"  # the second one is started while the first is held back
        stopped = [
            _kill_throttle_after(moments.uniform(0, 0.6), script, started=started, held_first=held_first)
            for held_first in [False, True] * 3
        ]
    assert any(stopped), "it was never killed while something was stopped: this has shown nothing"


def _kill_throttle_after(seconds: float, script: str, *, started: bool, held_first: bool) -> bool:
    """Whether something was stopped at that moment, which is after the throttle's start or after its first stop: how
    long that takes is the machine's affair.
    """
    with shell("sleep 60; true" if started else script) as outside:
        arguments = ["--", "sh", "-c", script] if started else ["--pid", outside.pid]
        process = start_throttle("--rate", "64 KiB/s", *arguments)
        with end_of_group(process):
            wait_until(lambda: bool(children(process.pid)), "it does not start")

            def held_back() -> list[int]:
                return descendants(process.pid)[1:] if started else [outside.pid, *descendants(outside.pid)]

            if held_first:
                wait_until(lambda: any(map(is_stopped, held_back())), "nothing is held back")
            time.sleep(seconds)
            family = held_back()
            staying = [pid for pid in family if name_of(pid) != "sleep"]
            some_stopped = any(map(is_stopped, family))
            process.kill()
            wait_until(lambda: not any(map(is_stopped, family)), "some stay stopped")
            time.sleep(0.05)
            assert not any(map(is_stopped, family))
            assert not [pid for pid in staying if state_of(pid) in ("gone", "Z")]
            return some_stopped


def test_a_killed_watchdog_lets_go_and_is_told() -> None:
    process = start_throttle(*MOSTLY_STOPPED, "--", "sh", "-c", "sleep 60; true")
    with end_of_group(process):
        (command,) = _wait_for_command(process)
        wait_until(lambda: is_held(command), "it is not held back")
        (watchdog,) = children(process.pid)
        os.kill(watchdog, signal.SIGKILL)
        assert process.wait(PATIENCE_S) == 1
        assert process.stderr is not None
        assert any("the watchdog was killed" in line for line in process.stderr)  # the command keeps it open
        assert not is_held(command)


def test_with_its_standard_error_gone_it_goes_on() -> None:
    script = f"exec {sys.executable} -m workloads.throttle --stop 0.05 --run 0.05 -- sh -c 'echo out; exit 4' 2>&-"
    done = subprocess.run(["sh", "-c", script], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stdout) == (4, "out\n")


def test_with_nobody_reading_its_standard_error_it_goes_on() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    words = [
        sys.executable,
        "-m",
        "workloads.throttle",
        *map(str, CYCLE),
        "--",
        "sh",
        "-c",
        "sleep 0.3; echo out; exit 4",
    ]
    done = subprocess.run(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=writing, text=True, check=False)
    os.close(writing)
    assert (done.returncode, done.stdout) == (4, "out\n")


# A terminal


@contextmanager
def terminal(*command: str) -> Iterator[tuple[int, int]]:
    """A command as the leader of a session with a terminal; its pid, and the terminal's other end."""
    pid, master = pty.fork()
    if pid == 0:
        os.chdir(ROOT)
        os.execvp(command[0], command)
    try:
        yield pid, master
    finally:
        for each in [pid, *descendants(pid)]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(each, signal.SIGKILL)
        os.close(master)
        os.waitpid(pid, 0)


class Screen:
    """What has come from a terminal so far."""

    def __init__(self, master: int) -> None:
        self._master = master
        self.text = ""
        os.set_blocking(master, False)

    def shows(self, pattern: str) -> re.Match[str] | None:
        with contextlib.suppress(OSError):
            self.text += os.read(self._master, 65536).decode(errors="replace")
        return re.search(pattern, self.text)

    def wait_for(self, pattern: str) -> re.Match[str]:
        wait_until(lambda: self.shows(pattern) is not None, f"{pattern!r} does not come")
        found = self.shows(pattern)
        assert found is not None
        return found


INTERRUPTED_ONCE = """
import signal, sys, time
count = 0
def note(*_):
    global count
    count += 1
signal.signal(signal.SIGINT, note)
print("pid", __import__("os").getpid(), "ready", flush=True)
while not count:
    time.sleep(0.01)
time.sleep(0.5)
print("interrupts", count, flush=True)
"""


def test_ctrl_c_reaches_the_command_once() -> None:
    """The terminal sends it to the command as well; passed on, it would be the second one, which ends many programs
    at once.
    """
    words = [sys.executable, "-m", "workloads.throttle", "--stop", "0.05", "--run", "0.05"]
    with terminal(*words, "--", sys.executable, "-S", "-c", INTERRUPTED_ONCE) as (_, master):
        screen = Screen(master)
        screen.wait_for("ready")
        os.write(master, b"\x03")
        assert screen.wait_for(r"interrupts (\d+)")[1] == "1"


def test_ctrl_z_suspends_both_and_fg_continues_both(tmp_path: Path) -> None:
    """Also what the terminal's signal does not reach, because it has a session of its own."""
    if shutil.which("bash") is None:
        pytest.skip("no bash here, whose job control this needs")
    script = tmp_path / "script"
    script.write_text("setsid sh -c 'echo apart $$; exec sleep 600' &\necho command $$\nwait\n")
    words = f"{sys.executable} -m workloads.throttle --stop 0.05 --run 0.05 -- sh {script}"
    with terminal("bash", "--norc", "--noprofile", "-i") as (shell_pid, master):
        screen = Screen(master)
        os.write(master, f"PS1='prompt> '; {words}\n".encode())
        command = int(screen.wait_for(r"command (\d+)")[1])
        apart = int(screen.wait_for(r"apart (\d+)")[1])
        (throttle,) = children(shell_pid)
        os.write(master, b"\x1a")
        screen.wait_for("Stopped")
        assert is_stopped(throttle)
        # A process stops when it gets a processor next, which may be after kill(2) has returned.
        wait_until(lambda: is_stopped(command) and is_stopped(apart), "they go on")
        for _ in range(30):
            assert is_stopped(command)
            assert is_stopped(apart)
            time.sleep(0.01)
        os.write(master, b"fg\n")
        wait_until(lambda: not is_stopped(command) and not is_stopped(apart), "they do not go on")
        wait_until(lambda: is_stopped(command) and is_stopped(apart), "they are not held back any more")
        os.write(master, b"\x03")
        wait_until(lambda: state_of(command) == "gone", "the command does not end")
        wait_until(lambda: state_of(throttle) == "gone", "the throttle does not end")
        assert not is_stopped(apart)
        os.kill(apart, signal.SIGKILL)


def test_suspended_it_lets_go_of_a_process_that_is_not_its_own() -> None:
    with shell("sleep 60 & echo $!; wait") as target:
        read_numbers(target, 1)
        process = start_throttle("--stop", 0.05, "--run", 0.05, "--pid", target.pid)
        with end_of_group(process):
            wait_until(lambda: is_stopped(target.pid), "it is not held back")
            process.send_signal(signal.SIGTSTP)
            wait_until(lambda: is_stopped(process.pid), "the throttle is not suspended")
            for _ in range(30):
                assert not is_stopped(target.pid)
                time.sleep(0.01)
            process.send_signal(signal.SIGCONT)
            wait_until(lambda: is_stopped(target.pid), "it is not held back any more")
            process.terminate()
            assert process.wait(PATIENCE_S) == 143
        assert not is_stopped(target.pid)


# The rate


@repeated_when_delayed
def test_the_rate_is_held_and_the_report_says_so(tmp_path: Path) -> None:
    """Within a quarter, on a machine that is busy with other things."""
    report_path = tmp_path / "report.json"
    with sink() as target:
        done = run_throttle("--rate", "1 MiB/s", "--report", report_path, "--", *sender(target.port, 4 * MIB))
    assert done.returncode == 0, done.stderr
    assert target.bytes == 4 * MIB
    report = json.loads(report_path.read_text())
    assert report["mode"] == "rate"
    assert report["target_bytes_per_s"] == MIB
    assert report["command"] == sys.executable
    # The last bytes may go unseen when the kernel's final counters are lost among others'.
    assert 0.9 * 4 * MIB <= report["sent_bytes"] <= 4 * MIB + 2
    assert report["bytes"] == report["sent_bytes"] + report["received_bytes"]
    in_time(report["mean_to_target_ratio"] == pytest.approx(1, abs=0.25), report)
    assert report["windows"] >= 3
    assert report["stops"] > 5
    in_time(report["longest_pause_s"] < 5, report)
    assert report["exit_code"] == 0
    samples = [json.loads(line) for line in (tmp_path / report["samples"]).read_text().splitlines()]
    assert sum(sample["bytes"] for sample in samples) == report["bytes"]
    assert max(sample["bytes"] for sample in samples) == report["largest_100_ms_bytes"]
    assert all(0 <= sample["running_ratio"] <= 1 for sample in samples)
    in_time(len(samples) == pytest.approx(report["seconds"] * 10, abs=1))
    assert f"{report['bytes']:,} bytes" in done.stderr
    stops = [json.loads(line) for line in (tmp_path / report["stop_records"]).read_text().splitlines()]
    assert len(stops) == report["stops"]
    assert max(stop["stopped_s"] for stop in stops) == pytest.approx(report["longest_pause_s"], abs=0.001)
    assert all(0 <= stop["notsent_bytes"] <= stop["unacked_bytes"] for stop in stops)
    assert all(0 <= stop["acked_bytes"] <= stop["unacked_bytes"] + 1 for stop in stops)  # one more for FIN


def test_what_a_stopped_process_has_in_its_send_buffer_goes_on(tmp_path: Path) -> None:
    """A sink that reads slowly: what was written before a stop is acknowledged while it lasts."""
    report_path = tmp_path / "report.json"
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
        command = sender(listener.getsockname()[1])
        cycle = ("--stop", 0.3, "--run", 0.1, "--from-first-byte")
        process = start_throttle(*cycle, "--report", report_path, "--", *command)
        with end_of_group(process):
            connection, _ = listener.accept()
            with connection:
                end_s = time.monotonic() + 2.5
                while time.monotonic() < end_s:
                    connection.recv(8192)
                    time.sleep(0.01)
            process.terminate()
            process.wait(PATIENCE_S)
    stops = [json.loads(line) for line in (tmp_path / "report.stops.ndjson").read_text().splitlines()]
    settled = stops[2:-1]
    assert settled
    assert all(stop["unacked_bytes"] > 16384 for stop in settled)
    assert all(stop["notsent_bytes"] > 0 for stop in settled)
    assert sum(stop["acked_bytes"] for stop in settled) > 0


def test_five_percent_of_the_free_rate_are_held_to_three_percent(tmp_path: Path) -> None:
    """Ten connections, each of which fills its send buffer at once when it may: over whole cycles the mean is exact,
    whatever a burst has moved before it could be stopped.
    """
    report_path = tmp_path / "report.json"
    with sink() as target:
        program = f"""
import socket, threading, time
def send():
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)
        connection.connect(("127.0.0.1", {target.port}))
        while True:
            connection.sendall(bytes(8192))
            time.sleep(0.005)
for _ in range(10):
    threading.Thread(target=send).start()
"""
        free_bytes_per_s = _rate_of([sys.executable, "-S", "-c", program], target, 2)
        rate = round(free_bytes_per_s / 20)
        command = [sys.executable, "-S", "-c", program]
        process = start_throttle("--rate", f"{rate} B/s", "--report", report_path, "--", *command)
        t, received, part = [], [], None
        with end_of_group(process):
            end_s = time.time() + 90
            while time.time() < end_s and (part is None or part.seconds < 5 or part.known_to_ratio > 0.03):
                for _ in range(200):  # for a second: as a cell of the experiment, until its mean is known
                    t.append(time.time())
                    received.append(target.bytes)
                    time.sleep(0.005)
                part = steady_part(t, received, target_bytes_per_s=rate, resumed=_resumed(tmp_path))
            process.terminate()
            process.wait(PATIENCE_S)
    assert part is not None
    assert part.seconds > 5
    assert part.known_to_ratio <= 0.03
    assert part.bytes_per_s == pytest.approx(rate, rel=0.03 + part.known_to_ratio)


def _resumed(folder: Path) -> list[float]:
    """When the process went on, of each stop that is reported up to now."""
    whole = (folder / "report.stops.ndjson").read_text().rpartition("\n")[0]
    return [stop["t_unix_s"] + stop["stopped_s"] for stop in map(json.loads, whole.splitlines())]


def _rate_of(command: list[str], target: Sink, seconds: float) -> float:
    """What comes to the sink a second."""
    with subprocess.Popen(command, text=True, process_group=0) as process, end_of_group(process):
        wait_until(lambda: target.bytes > 0, "it sends nothing")
        before, begun_s = target.bytes, time.monotonic()
        time.sleep(seconds)
        return (target.bytes - before) / (time.monotonic() - begun_s)


def test_stops_are_in_their_file_as_soon_as_they_have_ended(tmp_path: Path) -> None:
    """Who measures meanwhile reads them there."""
    with (
        start_throttle(*CYCLE, "--report", tmp_path / "report.json", "--", "sleep", "60") as process,
        end_of_group(process),
    ):
        lines = tmp_path / "report.stops.ndjson"
        wait_until(lambda: lines.exists() and lines.read_text().count("\n") >= 3, "no stop is written")
        assert process.poll() is None


@repeated_when_delayed
def test_connections_that_end_by_a_reset_are_counted_and_held(tmp_path: Path) -> None:
    report_path = tmp_path / "report.json"
    with sink() as target:
        program = f"""
import socket, struct, time
end_s, sent = time.monotonic() + 3, 0
while time.monotonic() < end_s:
    with socket.create_connection(("127.0.0.1", {target.port})) as connection:
        connection.sendall(bytes(65536))
        sent += 65536
        time.sleep(0.03)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
print(sent)
"""
        command = [sys.executable, "-S", "-c", program]
        done = run_throttle("--rate", "512 KiB/s", "--report", report_path, "--", *command)
    assert done.returncode == 0, done.stderr
    report = json.loads(report_path.read_text())
    in_time(report["mean_to_target_ratio"] == pytest.approx(1, abs=0.25), report)
    # Not what the sink has read: a reset throws away what it had not got round to.
    assert report["sent_bytes"] == pytest.approx(int(done.stdout), rel=0.1)


@repeated_when_delayed
def test_a_burst_that_is_the_whole_transfer_is_reported_as_what_it_was(tmp_path: Path) -> None:
    """A megabyte fits into the socket buffers of the loopback interface: it has moved before anything can stop it."""
    report_path = tmp_path / "report.json"
    with sink() as target:
        program = f"""
import socket, time
with socket.create_connection(("127.0.0.1", {target.port})) as connection:
    time.sleep(1)
    connection.sendall(bytes(1 << 20))
    time.sleep(1)
"""
        done = run_throttle("--rate", "0.4 MiB/s", "--report", report_path, "--", sys.executable, "-S", "-c", program)
    assert done.returncode == 0, done.stderr
    assert "too short for this cap" in done.stderr
    report = json.loads(report_path.read_text())
    assert report["bytes"] == pytest.approx(1 << 20, abs=4), "and a byte for each end's FIN and SYN"
    in_time(report["mean_to_target_ratio"] > 1.1, report)


def test_who_transfers_nothing_is_told_so_while_it_runs_and_at_the_end() -> None:
    done = run_throttle("--rate", "1 MiB/s", "--", "sleep", NOTHING_MOVED_S + 1)
    assert "is it another process that transfers?" in done.stderr.splitlines()[1]
    assert "was seen to move anything" in done.stderr.splitlines()[2]


@repeated_when_delayed
def test_a_process_that_runs_already_is_held_to_the_rate(tmp_path: Path) -> None:
    report_path = tmp_path / "report.json"
    with sink() as target:
        quoted = " ".join(f"'{word}'" for word in sender(target.port))
        with shell(f"{quoted} & wait") as outside:
            wait_until(lambda: target.bytes > 0, "it does not send")
            process = start_throttle("--rate", "1 MiB/s", "--report", report_path, "--pid", outside.pid)
            with end_of_group(process):
                wait_until(lambda: bool(children(process.pid)), "it does not start")
                time.sleep(3)
                process.send_signal(signal.SIGINT)
                assert process.wait(PATIENCE_S) == 130
    report = json.loads(report_path.read_text())
    assert report["pid"] == outside.pid
    in_time(report["mean_to_target_ratio"] == pytest.approx(1, abs=0.25), report)


@repeated_when_delayed
def test_a_process_below_the_rate_is_never_stopped(tmp_path: Path) -> None:
    report_path = tmp_path / "report.json"
    with sink() as target:
        run_throttle("--rate", "10 GiB/s", "--report", report_path, "--", *sender(target.port, 2 * MIB))
    report = json.loads(report_path.read_text())
    assert report["stops"] == 0
    assert report["longest_pause_s"] is None
    in_time(report["running_ratio"] == pytest.approx(1, abs=0.05), report)


def test_a_start_before_the_first_byte_is_not_held(tmp_path: Path) -> None:
    """A second without a byte, then bytes for as long as the cycle lets them."""
    report_path = tmp_path / "report.json"
    with sink() as target:
        script = f"sleep 1; exec {shlex.join(sender(target.port, MIB // 2))}"
        run_throttle(
            *("--stop", 0.3, "--run", 0.01, "--from-first-byte", "--report", report_path), "--", "sh", "-c", script
        )
    report = json.loads(report_path.read_text())
    assert report["stops"] >= 1
    assert report["seconds"] * report["running_ratio"] >= 1, "the second was not stopped in"


@repeated_when_delayed
def test_the_original_s_way_takes_its_share_of_the_time(tmp_path: Path) -> None:
    report_path = tmp_path / "report.json"
    done = run_throttle("--stop", 0.2, "--run", 0.1, "--report", report_path, "--", "sleep", "2")
    assert done.returncode == 0
    report = json.loads(report_path.read_text())
    assert report["mode"] == "duty-cycle"
    assert (report["stop_s"], report["run_s"], report["target_bytes_per_s"]) == (0.2, 0.1, None)
    in_time(report["running_ratio"] == pytest.approx(1 / 3, abs=0.15), report)
    assert report["mean_bytes_per_s"] is None


# What the documents say


@pytest.mark.parametrize("document", ["README.md", "docs/how-to/cap-bandwidth.md", "workloads/throttle/README.md"])
def test_the_documented_commands_cap_a_transfer(document: str, tmp_path: Path) -> None:
    """Typed as they stand there, with a process in the place of the documented one, and an `aws` that sends 1 MB."""
    lines = re.findall(r"^    (\S*python -m workloads\.throttle .*)", (ROOT / document).read_text(), re.MULTILINE)
    assert len(lines) >= 2
    with sink() as target:
        (tmp_path / "aws").write_text(f"#!/bin/sh\nexec {shlex.join(sender(target.port, MIB))}\n")
        (tmp_path / "aws").chmod(0o755)
        for line in lines:
            with shell("read line") as running:
                command = re.sub(r"^\S*python", sys.executable, line).replace("13424", str(running.pid))
                with subprocess.Popen(
                    ["bash", "-c", command],
                    cwd=ROOT,
                    env=os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"},
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.PIPE,
                    text=True,
                ) as process:
                    assert process.stderr is not None
                    words = process.stderr.readline()
                    # The process of the document ends when the throttle has begun with it.
                    running.communicate()
                    words += process.communicate(timeout=PATIENCE_S)[1]
            assert process.returncode == 0, f"{line}\n{words}"
            assert words.startswith("throttle: ")
        assert target.bytes == MIB * sum("aws s3 sync" in line for line in lines)
