"""What can't be done is said in one line that names the flag, what was given and what is allowed; exit code 2."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from tests.native.native_worker import NativeWorker, check_outcome

GOOD = {
    "--op": "read",
    "--pattern": "random",
    "--size": "4096",
    "--threads": "1",
    "--duration": "0.05",
}
MISSING = None

BAD = [
    ({"--op": "append"}, "--op", "append", "read, write"),
    ({"--op": ""}, "--op", '""', "read, write"),
    ({"--op": MISSING}, "--op", "not given", "read, write"),
    ({"--pattern": "zigzag"}, "--pattern", "zigzag", "fixed, sequential, random"),
    ({"--pattern": "rand"}, "--pattern", "rand", "fixed, sequential, random"),
    ({"--pattern": MISSING}, "--pattern", "not given", "fixed, sequential, random"),
    ({"--size": "0"}, "--size", '"0"', "1 to 2147479552 bytes"),
    ({"--size": "-1"}, "--size", '"-1"', "1 to 2147479552 bytes"),
    ({"--size": "+1"}, "--size", '"+1"', "1 to 2147479552 bytes"),
    ({"--size": " 1"}, "--size", '" 1"', "1 to 2147479552 bytes"),
    ({"--size": "1.5K"}, "--size", '"1.5K"', "K, M or G"),
    ({"--size": "4k"}, "--size", '"4k"', "K, M or G"),
    ({"--size": "4KiB"}, "--size", '"4KiB"', "K, M or G"),
    ({"--size": "K"}, "--size", '"K"', "K, M or G"),
    ({"--size": "2G"}, "--size", '"2G"', "1 to 2147479552 bytes"),
    ({"--size": "99999999999999999999"}, "--size", "99999999999999999999", "1 to 2147479552 bytes"),
    ({"--size": "18446744073709551615G"}, "--size", "18446744073709551615G", "1 to 2147479552 bytes"),
    ({"--size": ""}, "--size", '""', "1 to 2147479552 bytes"),
    ({"--size": MISSING}, "--size", "not given", "bytes"),
    ({"--size": "2M"}, "--size", "2097152", "up to 1048576 bytes"),
    ({"--threads": "0"}, "--threads", '"0"', "1 to 1024"),
    ({"--threads": "1025"}, "--threads", "1025", "1 to 1024"),
    ({"--threads": "two"}, "--threads", "two", "1 to 1024"),
    ({"--threads": MISSING}, "--threads", "not given", "number of threads"),
    ({"--engine": "aio"}, "--engine", "aio", "threads, io_uring"),
    ({"--depth": "0"}, "--depth", '"0"', "1 to 1024"),
    ({"--depth": "1025", "--engine": "io_uring"}, "--depth", "1025", "1 to 1024"),
    ({"--depth": "1"}, "--depth", "--engine threads", "with --engine io_uring"),
    ({"--size": "1025M", "--engine": "io_uring"}, "--size", "1074790400", "up to 1073741824 bytes"),
    ({"--duration": "0"}, "--duration", '"0"', "0.001 to 31536000 seconds"),
    ({"--duration": "1e3"}, "--duration", "1e3", "0.001 to 31536000 seconds"),
    ({"--duration": "inf"}, "--duration", "inf", "0.001 to 31536000 seconds"),
    ({"--duration": "1."}, "--duration", '"1."', "nine decimals"),
    ({"--duration": ".5"}, "--duration", '".5"', "nine decimals"),
    ({"--duration": "1.0000000001"}, "--duration", "1.0000000001", "nine decimals"),
    ({"--duration": "31536000.1"}, "--duration", "31536000.1", "31536000 seconds"),
    ({"--duration": MISSING}, "--duration", "not given", "seconds"),
    ({"--warmup": "-1"}, "--warmup", "-1", "0 to 31536000 seconds"),
    ({"--warmup": "1s"}, "--warmup", "1s", "0 to 31536000 seconds"),
    ({"--start-at": "tomorrow"}, "--start-at", "tomorrow", "seconds"),
    ({"--start-at": "1700000000"}, "--start-at", "1700000000", "allowed: a time after now"),
    ({"--span": "4095"}, "--span", "4095", "--size (4096) bytes or more"),
    ({"--span": "1048577"}, "--span", "1048577", "up to 1048576 bytes"),
    ({"--span": "9223372036854775808"}, "--span", "9223372036854775808", "1 to 9223372036854775807 bytes"),
    ({"--span": "8192", "--pattern": "fixed"}, "--span", "--pattern fixed", "sequential or random"),
    ({"--seed": "-1"}, "--seed", "-1", "0 to 18446744073709551615"),
    ({"--seed": "18446744073709551616"}, "--seed", "18446744073709551616", "0 to 18446744073709551615"),
    ({"--file": ""}, "--file", '""', "a regular file or a block device"),
    ({"--file": MISSING}, "--file", "not given", "a regular file or a block device"),
    ({"--file": "/"}, "--file", "/", "a regular file or a block device"),
    ({"--file": "/dev/null"}, "--file", "/dev/null", "a regular file or a block device"),
]


def refusal(worker: NativeWorker, *arguments: str | bytes) -> str:
    done = subprocess.run([str(worker.binary), *arguments], check=False, capture_output=True, timeout=120)
    assert done.returncode == 2
    assert done.stdout == b""
    assert done.stderr.startswith(b"tidemark-worker: ")
    assert done.stderr.endswith(b"\n")
    assert done.stderr.count(b"\n") == 1
    return done.stderr.decode(errors="replace")


@pytest.mark.parametrize(("changes", "flag", "given", "allowed"), BAD)
def test_refused(
    worker: NativeWorker, data_file: Path, changes: dict[str, str | None], flag: str, given: str, allowed: str
) -> None:
    values = {"--file": str(data_file), **GOOD, **changes}
    words = [word for name, value in values.items() if value is not None for word in (name, value)]
    line = refusal(worker, *words)
    assert line.startswith(f"tidemark-worker: {flag}: ")
    assert given in line
    assert allowed in line[line.index("allowed: ") :]


@pytest.mark.parametrize(
    ("words", "flag", "reason"),
    [
        (["--sise", "1"], "--sise", "no such flag"),
        (["-s", "1"], "-s", "not a flag"),
        (["4096"], "4096", "not a flag"),
        (["--size"], "--size", "got no value"),
        (["--op", "read", "--op", "read"], "--op", "given twice"),
        (["--direct=yes"], "--direct", "allowed: no value"),
        (["--a\nb"], "--a?b", "no such flag"),
        (["--size", "1\n2"], "--size", 'got "1?2"'),
        (["--file", b"\xff"], "--file", "UTF-8"),
        (["--file", b"\xed\xa0\x80"], "--file", "UTF-8"),
        (["--file", b"\xc0\x80"], "--file", "UTF-8"),
        ([], "--file", "not given"),
    ],
)
def test_refused_words(worker: NativeWorker, words: list[str | bytes], flag: str, reason: str) -> None:
    line = refusal(worker, *words)
    assert line.startswith(f"tidemark-worker: {flag}: ")
    assert reason in line


def test_refuses_overwrite_when_reading_and_too_many_threads(worker: NativeWorker, data_file: Path) -> None:
    words = [word for item in GOOD.items() for word in item]
    assert "allowed: with --op write" in refusal(worker, "--file", str(data_file), *words, "--overwrite")
    many = ["--file", str(data_file)] * 5
    words[words.index("--threads") + 1] = "1000"
    assert "up to 4096 threads altogether" in refusal(worker, *many, *words)


def test_fifo_is_refused_without_waiting_for_its_other_end(worker: NativeWorker, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    words = [word for item in GOOD.items() for word in item]
    assert "a regular file or a block device" in refusal(worker, "--file", str(tmp_path / "fifo"), *words)


def test_empty_file_needs_a_span_to_be_written(worker: NativeWorker, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.touch()
    words = ["--file", str(empty), "--op", "write", "--pattern", "sequential", "--size", "1K"]
    words += ["--threads", "1", "--duration", "0.1"]
    assert "a --span to let it grow to" in refusal(worker, *words)
    assert worker.run(*words, "--span", "16K").code == 0
    assert empty.stat().st_size == 16 * 1024


def test_missing_file_is_code_1(worker: NativeWorker, tmp_path: Path) -> None:
    outcome = worker.run("--file", tmp_path / "none", *[word for item in GOOD.items() for word in item])
    assert outcome.code == 1
    assert outcome.error == f"tidemark-worker: --file: {tmp_path}/none: No such file or directory\n"


def test_help_and_version(worker: NativeWorker) -> None:
    done = subprocess.run([str(worker.binary), "--help"], check=True, capture_output=True, text=True)
    others = ["--file", "--warmup", "--start-at", "--span", "--direct", "--sync", "--seed", "--overwrite"]
    for flag in [*GOOD, *others, "--engine", "--depth"]:
        assert flag in done.stdout
    done = subprocess.run([str(worker.binary), "--version"], check=True, capture_output=True, text=True)
    assert done.stdout.startswith("tidemark-worker ")


def test_equals_sign_suffixes_and_odd_paths(worker: NativeWorker, tmp_path: Path) -> None:
    path = tmp_path / 'ä "quoted" \\ back\nslash'
    path.write_bytes(b"x" * 4096)
    words = ["--op=read", "--pattern=fixed", "--size=2K", "--threads=1", f"--duration={0.05}", "--seed=0"]
    outcome = worker.run(f"--file={path}", *words)
    assert outcome.code == 0, outcome.error
    check_outcome(outcome)
    assert outcome.final["files"] == [str(path)]
    assert outcome.final["size_bytes"] == 2048


def test_start_that_passes_while_files_are_opened_is_refused(worker: NativeWorker, data_file: Path) -> None:
    words = [word for item in GOOD.items() for word in item]
    assert "has passed" in refusal(worker, "--file", str(data_file), *words, "--start-at", f"{time.time():.6f}")


def test_block_device_is_written_only_with_overwrite(worker: NativeWorker, data_file: Path) -> None:
    if os.geteuid() != 0 or shutil.which("losetup") is None:
        pytest.skip("needs root and losetup")
    attached = subprocess.run(
        ["losetup", "--find", "--show", str(data_file)], check=False, capture_output=True, text=True
    )
    if attached.returncode != 0:
        pytest.skip(f"no loop device: {attached.stderr.strip()}")
    device = attached.stdout.strip()
    before = data_file.read_bytes()
    try:
        words = ["--file", device, "--pattern", "sequential", "--size", "4K", "--threads", "2"]
        once = [*words, "--direct"]
        words = [*once, "--duration", "0.2"]
        assert "--overwrite" in refusal(worker, *words, "--op", "write")
        assert "up to 1048576 bytes" in refusal(worker, *words, "--op", "write", "--overwrite", "--span", "2M")
        assert data_file.read_bytes() == before
        reading = worker.run(*words, "--op", "read")
        assert reading.code == 0
        check_outcome(reading)
        for seconds in ("0.2", "2", "20"):  # a busy machine writes less
            writing = worker.run(*once, "--op", "write", "--overwrite", "--duration", seconds)
            assert writing.code == 0
            if writing.final["ops"] > 256:
                break
        assert writing.final["ops"] > 256
    finally:
        subprocess.run(["losetup", "--detach", device], check=True)
    after = data_file.read_bytes()
    assert all(before[at : at + 4096] != after[at : at + 4096] for at in range(0, len(after), 4096))
