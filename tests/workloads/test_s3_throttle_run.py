"""A run: one at a time, what ends it early and in which words, and what it leaves."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.workloads.fakes import inventory_document, inventory_of
from tests.workloads.ssh_host import ssh_host
from tests.workloads.test_s3_throttle_uploader import HANGS, no_more, spec, within
from workloads import lease
from workloads.cells import IncompleteError
from workloads.connectors.script import ScriptResult
from workloads.connectors.ssh import SshConnector
from workloads.console import Console
from workloads.errors import WorkloadError
from workloads.paths import PROJECT
from workloads.results import NullResults
from workloads.s3_throttle import run as runs
from workloads.s3_throttle import session as sessions
from workloads.s3_throttle.configure import make_files
from workloads.s3_throttle.context import SCRIPTS
from workloads.s3_throttle.plan import Plan, cells, read
from workloads.s3_throttle.run import remedy_of, run
from workloads.s3_throttle.session import SyncResult, uploading
from workloads.s3_throttle.uploader.spec import Spec
from workloads.scripts import find_script

PLAN = """
name = "test"
seconds = 2
most_seconds = 10
precision = 0.03
object_bytes = 131072
probe_bytes = 1048576
closed_loop = [0.25, 0.5]
max_bandwidth = []
tc = [0.5]
"""


@pytest.fixture
def connector(tmp_path: Path) -> Iterator[SshConnector]:
    """A connection to this machine, and a python3 that finds the program, as the uploader's."""
    python = tmp_path / "python3"
    python.write_text(f'#!/bin/sh\n[ "$1" = -I ] && shift && cd {PROJECT} && exec {sys.executable} "$@"\n')
    python.chmod(0o755)
    with ssh_host(inventory_of(inventory_document()).host("client"), tmp_path) as found:
        yield found


class TestSession:
    """The uploader's program, spoken with over SSH."""

    def test_syncs_one_after_the_other_and_an_end(self, connector: SshConnector, tmp_path: Path) -> None:
        asked = spec(tmp_path, "exit 3")
        with uploading(connector, str(tmp_path / "python3"), str(tmp_path / "run")) as session:
            for _ in range(2):
                seen = session.sync(asked)
                assert seen.final is not None
                assert (seen.final["exit_code"], seen.fault) == (3, None)
                assert len(seen.samples["t"]) == len(seen.samples["tx"]) == len(seen.samples["again"]) >= 1
        assert [path.name for path in (tmp_path / "run").iterdir()] == ["claim"]

    def test_a_sync_may_be_silent_for_as_long_as_it_takes(
        self, connector: SshConnector, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked = spec(tmp_path, "sleep 1; exit 3")
        with uploading(connector, str(tmp_path / "python3"), str(tmp_path / "run")) as session:
            monkeypatch.setattr(sessions, "START_SECONDS", 0.5)
            session._process.idle_timeout_seconds = sessions.START_SECONDS
            seen = session.sync(asked)
        assert seen.final is not None
        assert seen.final["exit_code"] == 3

    def test_what_cannot_be_begun_is_a_fault_of_that_sync_alone(self, connector: SshConnector, tmp_path: Path) -> None:
        asked = spec(tmp_path, "exit 0", pool="/nowhere")
        with uploading(connector, str(tmp_path / "python3"), str(tmp_path / "run")) as session:
            seen = session.sync(asked)
            assert seen.final is None
            assert seen.fault is not None
            assert "/nowhere" in seen.fault
            good = session.sync(Spec(**{**asked.__dict__, "pool": str(tmp_path / "pool")}))
            assert good.final is not None

    def test_a_second_run_is_refused_with_the_name_of_the_first(
        self, connector: SshConnector, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with uploading(connector, str(tmp_path / "python3"), str(tmp_path / "run")):
            monkeypatch.setattr(sessions, "lease_holder", lambda what: f"{what} by bert")
            monkeypatch.setattr(sessions, "LOCK_TIMEOUT_SECONDS", 0)
            with (
                pytest.raises(WorkloadError) as refused,
                uploading(connector, str(tmp_path / "python3"), str(tmp_path / "run")),
            ):
                pass
        words = str(refused.value)
        assert words.startswith("client: another run is under way: ")
        assert f"process {os.getpid()}" in words
        assert words.endswith("; wait for its end and run again")

    def test_a_first_run_that_is_ending_is_waited_for(self, connector: SshConnector, tmp_path: Path) -> None:
        folder = tmp_path / "run"
        folder.mkdir()
        holder = subprocess.Popen(["flock", str(folder / "claim"), "sleep", "1"])
        assert within(10, (folder / "claim").exists)
        with uploading(connector, str(tmp_path / "python3"), str(folder)):
            assert holder.wait(10) == 0
            assert f"process {os.getpid()}" in (folder / "claim").read_text()

    def test_when_the_run_is_cut_short_its_sync_ends_too(self, connector: SshConnector, tmp_path: Path) -> None:
        note = tmp_path / "pid"
        asked = spec(tmp_path, f"echo $$ > {note}; {HANGS}")

        def cut_short() -> None:
            with uploading(connector, str(tmp_path / "python3"), str(tmp_path / "run")) as session:
                # As an interrupt finds it: asked for, and not waited for.
                session._process.send(f"{asked.to_json()}\n".encode())
                assert within(120, lambda: note.exists() and bool(note.read_text().strip()))
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            cut_short()
        assert no_more(int(note.read_text())), "leaving the block has waited for it"

    def test_heartbeats_keep_the_lease_between_syncs(
        self, connector: SshConnector, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(lease, "HEARTBEAT_SECONDS", 0.1)
        monkeypatch.setattr(sessions, "LEASE_TIMEOUT_SECONDS", 2)
        asked = spec(tmp_path, "exit 0")
        with uploading(connector, str(tmp_path / "python3"), str(tmp_path / "run")) as session:
            time.sleep(2.3)
            assert session.sync(asked).final is not None

    def test_without_any_it_ends_and_that_is_one_line(
        self, connector: SshConnector, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(lease, "HEARTBEAT_SECONDS", 60)
        monkeypatch.setattr(sessions, "LEASE_TIMEOUT_SECONDS", 0.2)
        asked = spec(tmp_path, "exit 0")
        with uploading(connector, str(tmp_path / "python3"), str(tmp_path / "run")) as session:
            time.sleep(1.5)
            with pytest.raises(WorkloadError, match=r"^client: uploader_sync failed with exit code 1 \(the tasks that"):
                session.sync(asked)


class Fakes:
    """A run without a host: `answers` are what becomes of its syncs, the last for all that follow."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, answers: list[SyncResult]) -> None:
        self.deleted: list[str] = []
        self.synced: list[str] = []
        self.ended: list[bool] = []
        self.whole: list[bool] = []
        self.asked: list[Spec] = []
        self.left = 0
        self._answers = answers

        class Host:
            name = "uploader"
            private_address = "10.20.1.10"

        class Given:
            console = Console()
            results = NullResults()
            uploader = Host()
            connector = None
            sums = ("sum",)

            class bucket:
                name = "b"
                endpoint = None

            class inventory:
                stack = "s3-throttle.lab"
                region = "eu-central-1"
                rehearsal = True

        self.context: Any = Given()

        @contextmanager
        def alone(_: object) -> Iterator[Any]:
            yield self

        monkeypatch.setattr(runs, "uploading", alone)
        monkeypatch.setattr(runs, "make_files", lambda *_: 0)
        monkeypatch.setattr(runs, "remove", self._remove)
        self.reads_back(monkeypatch, [])
        self.way(monkeypatch, lambda _: None)

    def way(self, monkeypatch: pytest.MonkeyPatch, check: Callable[[Any], Any]) -> None:
        monkeypatch.setattr(runs, "reach_bucket", check)

    def reads_back(self, monkeypatch: pytest.MonkeyPatch, different: list[str]) -> None:
        def differences(_: object, __: str, ___: object, count: int, *, whole: bool) -> tuple[int, list[str]]:
            self.whole.append(whole)
            return count if whole else count // 2, different

        monkeypatch.setattr(runs, "differences", differences)

    def _remove(self, _: object, prefix: str) -> int:
        self.deleted.append(prefix)
        left, self.left = self.left, 0
        return left

    # As a session:
    def sync(self, asked: Spec) -> SyncResult:
        self.asked.append(asked)
        self.synced.append(asked.prefix.rstrip("/").rpartition("/")[2])
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]

    def end(self, *, in_order: bool) -> None:
        self.ended.append(in_order)


STEADY = {
    "sent_once_bytes": 1_153_430,
    "steady_bytes_per_s": 1_153_430.0,
    "steady_from_unix_s": 0.2,
    "steady_until_unix_s": 0.8,
    "known_to_ratio": 0.01,
}
NOT_STEADY = dict.fromkeys(STEADY)


def good(ended_by: str = "itself") -> SyncResult:
    """A megabyte of objects, with a tenth more for headers, in a second."""
    times = [number / 10 for number in range(11)]
    samples: dict[str, list[Any]] = {"t": times, "tx": [number * 115_343 for number in range(11)], "rx": [0] * 11}
    samples["again"] = [7] * 11
    code = 0 if ended_by == "itself" else -15
    return SyncResult(samples, [], {"exit_code": code, "said": None, "ended_by": ended_by, **STEADY})


def bad(said: str, code: int = 1, ended_by: str | None = "itself") -> SyncResult:
    return SyncResult(
        {"t": [], "tx": [], "rx": [], "again": []},
        [],
        {"exit_code": code, "said": said, "ended_by": ended_by, **NOT_STEADY},
    )


def plan() -> Plan:
    return read(PLAN, "test")


def test_all_cells_are_measured_and_all_is_deleted(monkeypatch: pytest.MonkeyPatch) -> None:
    fakes = Fakes(monkeypatch, [good()])
    run(fakes.context, plan(), "now")
    assert fakes.synced == [cell.name for cell in cells(plan())]
    of_cells = [f"s3-throttle.lab/now/{cell.name}/" for cell in cells(plan())]
    assert fakes.deleted == ["s3-throttle.lab/", *of_cells, "s3-throttle.lab/"]


def test_the_first_goes_on_to_its_end_and_the_others_until_their_mean_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    fakes = Fakes(monkeypatch, [good(), good("known"), good("bound"), good("known")])
    run(fakes.context, plan(), "now")
    assert fakes.whole == [True, False, False, False, False]
    first, loop, *_ = fakes.asked
    assert (first.precision_ratio, loop.precision_ratio) == (None, 0.03)
    assert (loop.least_s, loop.most_s, loop.pool_objects) == (2, 10, 8)
    # A quarter of what the interface sent: the target is of what it sends, too.
    assert loop.wire_target_bytes_per_s == pytest.approx(1_153_430 / 4, rel=0.001)
    assert loop.rate_bytes_per_s == pytest.approx(1_048_576 / 4, rel=0.001)


def test_a_sync_that_was_ended_for_a_fault_is_no_measurement(monkeypatch: pytest.MonkeyPatch) -> None:
    fakes = Fakes(monkeypatch, [good(), bad("nothing was sent for 45 s, so it was ended", 0, None), good()])
    with pytest.raises(IncompleteError, match=r"^1 of 5 .*: closed-loop-0.25 \(.* nothing was sent for 45 s"):
        run(fakes.context, plan(), "now")


def test_what_a_run_that_was_killed_left_is_deleted_first_and_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fakes = Fakes(monkeypatch, [good()])
    fakes.left = 7
    run(fakes.context, plan(), "now")
    assert "7 of a run that was cut short deleted" in capsys.readouterr().out


def test_without_a_free_rate_there_is_nothing_to_go_on_with(monkeypatch: pytest.MonkeyPatch) -> None:
    fakes = Fakes(monkeypatch, [bad("fatal error: Unable to locate credentials"), good()])
    with pytest.raises(IncompleteError) as error:
        run(fakes.context, plan(), "now")
    assert str(error.value) == (
        "free: the sync ended with 1: fatal error: Unable to locate credentials; see that the uploader's instance "
        "profile has its role, and the role its policy (`pulumi up` mends both)"
    )
    assert fakes.synced == ["free"]
    assert (fakes.ended, fakes.deleted[-1]) == ([False], "s3-throttle.lab/")


def test_one_that_fails_does_not_stop_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    fakes = Fakes(monkeypatch, [good(), bad("upload failed"), good()])
    with pytest.raises(IncompleteError, match=r"^1 of 5 .*: closed-loop-0.25 \(the sync ended with 1: upload"):
        run(fakes.context, plan(), "now")
    assert len(fakes.synced) == len(cells(plan()))


def test_two_that_fail_alike_do(monkeypatch: pytest.MonkeyPatch) -> None:
    fakes = Fakes(monkeypatch, [good(), bad("An error occurred (ExpiredToken)")])
    with pytest.raises(IncompleteError, match=r"^closed-loop-0.5: .*ExpiredToken.*; see that the uploader's instance"):
        run(fakes.context, plan(), "now")
    assert len(fakes.synced) == 3


def test_a_bucket_or_an_endpoint_that_is_gone_is_what_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    fakes = Fakes(monkeypatch, [good(), bad("nothing was sent for 45 s, so it was ended", -15, None), good()])

    def gone(_: object) -> None:
        raise WorkloadError("S3 does not answer at 198.51.100.1 port 80", "see that …", "uploader")

    fakes.way(monkeypatch, gone)
    with pytest.raises(WorkloadError, match=r"^uploader: S3 does not answer at 198.51.100.1 port 80; see that …$"):
        run(fakes.context, plan(), "now")
    assert len(fakes.synced) == 2


def test_what_came_first_is_told_even_when_nothing_can_be_deleted(monkeypatch: pytest.MonkeyPatch) -> None:
    fakes = Fakes(monkeypatch, [bad("no such bucket")])

    def fails(_: object, prefix: str) -> int:
        if fakes.synced:
            raise WorkloadError("bucket b: S3 answers NoSuchBucket", "")
        return 0

    monkeypatch.setattr(runs, "remove", fails)
    with pytest.raises(IncompleteError, match=r"^free: the sync ended with 1: no such bucket"):
        run(fakes.context, plan(), "now")


def test_objects_that_differ_are_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    fakes = Fakes(monkeypatch, [good()])
    fakes.reads_back(monkeypatch, ["7 objects, expected 8"])
    with pytest.raises(IncompleteError, match=r"^5 of 5 cells .*, the first: free \(7 objects, expected 8\)"):
        run(fakes.context, plan(), "now")


@pytest.mark.parametrize(
    ("said", "remedy"),
    [
        ("fatal error: Unable to locate credentials", "instance profile"),
        ("An error occurred (ExpiredToken) when calling", "instance profile"),
        (
            "[Errno 28] No space left on device: '/run/x'",
            "see that the uploader's disk has room (df), or plan for less",
        ),
        ("upload failed", "see the results' cells and logs for more"),
    ],
)
def test_the_remedy_is_of_the_fault(said: str, remedy: str) -> None:
    assert remedy in remedy_of(said)


def test_a_pool_for_which_there_is_no_room_is_refused_at_once(connector: SshConnector, tmp_path: Path) -> None:
    words = [str(tmp_path / "pool"), str(1 << 20), str(1 << 30)]
    with pytest.raises(WorkloadError) as error:
        connector.run(find_script("uploader_files", SCRIPTS), words, locked=False)
    assert str(error.value).startswith(
        f"client: {1 << 20} files of {1 << 30} bytes cannot be written to {tmp_path}/pool: "
    )
    assert str(error.value).endswith("bytes are free; see that the disk has room (df), or plan for less")
    made = connector.run(find_script("uploader_files", SCRIPTS), [str(tmp_path / "pool"), "2", "10"], locked=False)
    assert made.changed == 1
    again = connector.run(find_script("uploader_files", SCRIPTS), [str(tmp_path / "pool"), "2", "10"], locked=False)
    assert (again.changed, made.facts[:2]) == (0, again.facts[:2])
    fewer = connector.run(find_script("uploader_files", SCRIPTS), [str(tmp_path / "pool"), "1", "10"], locked=False)
    assert (fewer.facts[0], len(fewer.facts)) == (again.facts[0], 2)


def test_files_are_looked_at_once(tmp_path: Path) -> None:
    asked: list[int] = []

    def uploader(_: str, arguments: list[str], **__: object) -> ScriptResult:
        asked.append(int(arguments[1]))
        facts = tuple({"object": f"object-{number}", "sha256": str(number)} for number in range(asked[-1]))
        return ScriptResult("uploader", "", "", facts)

    context: Any = SimpleNamespace(on_uploader=uploader, sums=[])
    for _ in range(2):
        make_files(context, plan())
    assert (asked, context.sums) == ([8], [str(number) for number in range(8)])
