"""Results on a disk that is full: seen before a run starts, and when it fills what was measured is kept elsewhere."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from inventory import Inventory
from report.atomic_write import write_atomically
from report.runs import open_run
from tests.workloads.fakes import inventory_document, inventory_of
from workloads.errors import WorkloadError
from workloads.results import Results, free_bytes

SMALL_BYTES = 256 << 10


@pytest.fixture
def inventory() -> Inventory:
    return inventory_of(inventory_document())


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The one folder with room; it passes for another file system's."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    monkeypatch.setattr("workloads.results.candidates", lambda: [folder])
    monkeypatch.setattr(Path, "stat", _apart(folder))
    return folder


def _apart(folder: Path):  # type: ignore[no-untyped-def]
    """Path.stat, by which `folder` is on a file system of its own."""
    real = Path.stat

    def stat(path: Path, *, follow_symlinks: bool = True) -> os.stat_result:
        found = real(path, follow_symlinks=follow_symlinks)
        if path == folder:
            return os.stat_result((*found[:2], found.st_dev + 1, *found[3:10]))
        return found

    return stat


class Full:
    """Stands for a disk with room for so many bytes more: os-level writes are cut there, as the kernel cuts them."""

    def __init__(self, below: Path, room: int, monkeypatch: pytest.MonkeyPatch) -> None:
        self.below, self.room = below, room
        real = Path.open

        def opened(path: Path, *args: object, **options: object):  # type: ignore[no-untyped-def]
            file = real(path, *args, **options)  # type: ignore[call-overload]
            if path.is_relative_to(self.below) and "r" not in str(args[0] if args else "r"):
                return _Cut(file, self)
            return file

        monkeypatch.setattr(Path, "open", opened)


class _Cut:
    def __init__(self, file, disk: Full) -> None:  # type: ignore[no-untyped-def]
        self._file, self._disk = file, disk

    def __enter__(self) -> _Cut:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def __getattr__(self, name: str) -> object:
        return getattr(self._file, name)

    def write(self, content: bytes | str) -> int:
        if self._disk.room <= 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        taken = content[: self._disk.room]
        self._disk.room -= len(taken)
        self._file.write(taken)
        if len(taken) < len(content) and isinstance(content, str):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return len(taken)


def test_a_run_does_not_begin_on_a_full_disk(
    tmp_path: Path, inventory: Inventory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workloads.results.free_bytes", lambda _: 5 << 20)
    with pytest.raises(WorkloadError) as fault:
        Results.start(inventory)
    assert str(fault.value) == (
        f"{tmp_path}/results/md-raid/md-raid.test has 5 MiB free, and a run is to have 128 MiB; free space there, or "
        "set TIDEMARK_RESULTS_DIR"
    )
    assert not (tmp_path / "results").exists(), "nothing half-made is left"


def test_free_space_is_that_of_the_folder_above_what_is_not_there_yet(tmp_path: Path) -> None:
    found = os.statvfs(tmp_path)
    seen = free_bytes(tmp_path / "a" / "b")
    assert abs(seen - found.f_bavail * found.f_frsize) < 64 << 20


@pytest.mark.parametrize("room", [0, 1, 7, 60, 61, 200])
def test_when_the_disk_fills_the_run_goes_on_elsewhere(
    room: int,
    elsewhere: Path,
    inventory: Inventory,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    results = Results.start(inventory)
    old = results.directory
    records = [{"n": n, "words": "x" * 10} for n in range(20)]
    results.append("drill", records[0])
    Full(old, room, monkeypatch)
    with results.recording():
        for record in records[1:]:
            results.append("drill", record)
        results.write_file("logs/client-dmesg.txt", b"words\n")
    assert results.directory.is_relative_to(elsewhere)
    assert results.records("drill") == records
    assert (results.directory / "logs/client-dmesg.txt").read_text() == "words\n"
    assert open_run(results.directory).manifest.status == "complete"
    (line,) = capsys.readouterr().err.splitlines()
    assert line == (
        f"tidemark: {old} cannot be written (No space left on device); the run is in {results.directory} from now on"
    )
    assert results.directory.parts[-3:] == old.parts[-3:], "so that TIDEMARK_RESULTS_DIR may name it"
    # What is left there is whole, too.
    for text in (old / "raw/drill.ndjson").read_text().splitlines():
        json.loads(text)


def test_several_threads_move_it_once(elsewhere: Path, inventory: Inventory, monkeypatch: pytest.MonkeyPatch) -> None:
    results = Results.start(inventory)
    Full(results.directory, 500, monkeypatch)

    def write(n: int) -> None:
        for i in range(50):
            results.append("host", {"n": n, "i": i})

    threads = [threading.Thread(target=write, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {(each["n"], each["i"]) for each in results.records("host")} == {(n, i) for n in range(4) for i in range(50)}
    assert len(list(elsewhere.iterdir())) == 1


def test_with_no_other_disk_it_is_one_line(
    tmp_path: Path, inventory: Inventory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workloads.results.candidates", lambda: [tmp_path, Path("/nonexistent")])
    results = Results.start(inventory)
    Full(results.directory, 0, monkeypatch)
    with pytest.raises(WorkloadError) as fault:
        results.append("drill", {"n": 1})
    assert str(fault.value) == (
        f"{results.directory} cannot be written (No space left on device), and no other disk here has room for the "
        "run; free space, or set TIDEMARK_RESULTS_DIR, and run again; what was written so far is there"
    )


def test_a_file_of_a_report_that_does_not_fit_is_named_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "report.html"
    page.write_text("the old one")

    def write(path: Path, content: bytes) -> int:
        path.touch()
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", write)
    with pytest.raises(OSError, match="No space left on device") as fault:
        write_atomically(page, "the new one")
    assert fault.value.filename == str(page)
    assert [each.name for each in tmp_path.iterdir()] == ["report.html"]
    assert page.read_text() == "the old one"


def test_what_is_added_after_half_a_line_is_whole(inventory: Inventory) -> None:
    """A run was killed in the middle of a record, and another task adds to its results."""
    made = Results.start(inventory)
    made.append("moves", {"n": 1})
    with (made.directory / "raw/moves.ndjson").open("a") as file:
        file.write('{"n": 2, "ho')
    found = Results.latest(inventory)
    assert found is not None
    assert found.records("moves") == [{"n": 1}]
    found.append("moves", {"n": 3})
    found.append("moves", {"n": 4})
    lines = (made.directory / "raw/moves.ndjson").read_text().splitlines()
    assert lines == ['{"n":1}', '{"n": 2, "ho', '{"n":3}', '{"n":4}']
    assert found.records("moves") == [{"n": 1}, {"n": 3}, {"n": 4}]


@pytest.mark.parametrize(
    "text",
    [
        *("[]", "7", "null", "{}", '{"schema": 2}', "{", "9" * 5000, "[" * 100_000, '{"schema": 1}'),
        '{"schema": 1, "steps": {}, "versions": {}}',
        '{"schema": 1, "steps": [], "versions": []}',
    ],
)
def test_a_manifest_that_is_none_is_passed_over(text: str, inventory: Inventory) -> None:
    older = Results.start(inventory)
    newer = Results.start(inventory)
    (newer.directory / "manifest.json").write_text(text)
    found = Results.latest(inventory)
    assert found is not None
    assert found.directory == older.directory


def test_damaged_records_are_left_out(inventory: Inventory) -> None:
    made = Results.start(inventory)
    made.append("moves", {"number": 1})
    with (made.directory / "raw" / "moves.ndjson").open("ab") as file:
        file.write(b'\xff\xfe\n7\n[1]\n{"number": "\xe4"}\n' + b"[" * 100_000 + b'\n{"number": 2}\n{"num')
    again = Results.latest(inventory)
    assert again is not None
    again.append("moves", {"number": 3})
    assert [record["number"] for record in again.records("moves")] == [1, 2, 3]


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a file system in memory")
def test_on_a_real_disk_that_fills(tmp_path: Path) -> None:
    """In a mount namespace of its own: results on a file system of a quarter of a MiB."""
    (tmp_path / "small").mkdir()
    (tmp_path / "document").write_text(json.dumps(inventory_document()))
    program = f"""
import json, os, pathlib
from inventory import Inventory
from workloads import results
os.environ["TIDEMARK_RESULTS_DIR"] = {str(tmp_path / "small")!r}
results.LEAST_FREE_BYTES = 1
results.candidates = lambda: [pathlib.Path({str(tmp_path)!r})]
text = pathlib.Path({str(tmp_path / "document")!r}).read_text()
made = results.Results.start(Inventory.from_json(text, "test"))
with made.recording():
    for n in range(4000):
        made.append("worker", {{"n": n, "words": "x" * 100}})
assert [each["n"] for each in made.records("worker")] == list(range(4000))
print(made.directory)
"""
    mount = f'mount -t tmpfs -o size={SMALL_BYTES} small {tmp_path}/small && exec {sys.executable} -c "$1"'
    done = subprocess.run(
        ["unshare", "--mount", "bash", "-c", mount, "bash", program],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if "unshare failed" in done.stderr or "mount:" in done.stderr:
        pytest.skip("no mount may be made here")
    assert done.returncode == 0, done.stderr
    moved = Path(done.stdout.strip())
    assert open_run(moved).manifest.status == "complete"
    assert f"cannot be written (No space left on device); the run is in {moved} from now on" in done.stderr
