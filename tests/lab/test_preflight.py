"""What is looked at before a region starts: each fault is one line, with what to do."""

from __future__ import annotations

import os
import shutil
import socket
from pathlib import Path
from typing import NamedTuple

import pytest

from lab import command_line, preflight
from lab.errors import LabError
from lab.kernel.choice import Kernel
from lab.preflight import available_memory_bytes
from tests.conftest import free_port


class Usage(NamedTuple):
    total: int
    used: int
    free: int


@pytest.fixture(autouse=True)
def able_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine that has everything; each test takes one thing away."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("TIDEMARK_LAB_DIR", str(tmp_path / "lab"))
    monkeypatch.setenv("TIDEMARK_LAB_PORT", str(free_port()))
    monkeypatch.setattr(shutil, "which", lambda name, **_: f"/usr/bin/{name}")
    monkeypatch.setattr(preflight, "run", lambda *_, **__: "")
    monkeypatch.setattr(preflight, "available_memory_bytes", lambda: 8 * 1024**3)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10**12, 0, 10**12))
    monkeypatch.setattr(preflight, "choose_kernel", lambda _: Kernel(tmp_path, tmp_path, "7.2.7", "for a test"))
    monkeypatch.setattr(preflight, "check_boot", lambda _: None)


def doctor(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> tuple[int, str]:
    monkeypatch.setattr("sys.argv", ["lab", "doctor"])
    return command_line.main(), capsys.readouterr().out


def test_a_machine_that_has_everything_can_rehearse(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    preflight.check_machine()
    code, out = doctor(capsys, monkeypatch)
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()[:-1]] == ["yes"] * 9
    assert "yes kernel: Linux 7.2.7, for a test runs on this processor (" in out
    assert out.endswith("this machine can rehearse\n")


def test_the_results_disk_is_the_one_that_the_tasks_write_to(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TIDEMARK_RESULTS_DIR", str(tmp_path / "elsewhere"))
    assert f"GB free for the results ({tmp_path})" in doctor(capsys, monkeypatch)[1]


def test_the_doctor_goes_on_after_a_fault(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def panics(_: object) -> None:
        raise LabError("Linux 6.1.176 does not run on this machine: it panics; name another kernel")

    monkeypatch.setattr(preflight, "available_memory_bytes", lambda: 1024**3)
    monkeypatch.setattr(preflight, "check_boot", panics)
    with socket.create_server(("127.0.0.1", int(os.environ["TIDEMARK_LAB_PORT"]))):
        code, out = doctor(capsys, monkeypatch)
    assert code == 1
    faults = [line for line in out.splitlines() if line.startswith("no ")]
    assert faults[0] == "no  memory: 1.0 GiB available; a rehearsal takes 4 GiB: end something, or add some"
    assert "another process listens there; end it, or choose another port with TIDEMARK_LAB_PORT" in faults[1]
    assert faults[2] == "no  kernel: Linux 6.1.176 does not run on this machine: it panics; name another kernel"
    assert out.endswith('this machine cannot rehearse: each "no" above says why\n')


def test_a_namespace_that_is_refused_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> str:
        raise LabError("unshare --net --mount --pid: exit code 1: unshare: unshare failed: Operation not permitted")

    monkeypatch.setattr(preflight, "run", refuse)
    with pytest.raises(LabError, match=r"^namespaces: Operation not permitted; run as root, outside of containers"):
        preflight.check_machine()


@pytest.mark.parametrize("age", [None, 1])
def test_limits_that_are_not_compiled_are_named(
    age: int | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A host would boot without them, and its volumes would have no limit."""
    library, source = tmp_path / "build" / "volume_limits.so", tmp_path / "volume_limits.c"
    library.parent.mkdir()
    source.touch()
    if age is not None:
        library.touch()
        os.utime(library, (age, age))
    monkeypatch.setattr(preflight, "PRELOADED", (library,))
    words = "is not compiled" if age is None else "is older than its source"
    with pytest.raises(LabError, match=rf"^native parts: {library} {words}; `make worker` compiles it$"):
        preflight.check_machine()
    os.utime(source, (0, 0))
    library.touch()
    preflight.check_machine()


def test_a_full_disk_is_named_with_what_lies_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10**9, 10**9, 0))
    with pytest.raises(LabError, match=rf"^disk: 0\.0 GB free for the cache \({tmp_path}\); 2\.1 GB are needed there$"):
        preflight.check_machine()


def test_memory_is_what_the_control_group_leaves() -> None:
    """This machine's own figures: whatever they are, they are no more than the machine has."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    total = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemTotal:"))
    assert 0 < available_memory_bytes() <= total


@pytest.mark.parametrize(("flags", "words"), [("fpu amx_tile avx2", "with AMX"), ("fpu avx2", "without AMX")])
def test_the_processor_is_named(flags: str, words: str) -> None:
    first = f"processor\t: 0\nmodel name\t: A processor @ 2.0: GHz\nflags\t\t: {flags}\n"
    assert preflight.processor(f"{first}\nprocessor\t: 1\nflags\t\t: amx_tile\n") == f"A processor @ 2.0: GHz, {words}"
    assert preflight.processor("processor\t: 0\n") == "of an unknown name, without AMX"
