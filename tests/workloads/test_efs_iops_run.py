"""Measuring with clients that act as if: what is sent to them, and what becomes of a cell when one of them fails."""

from __future__ import annotations

import itertools
import json
import math
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from inventory import InventoryError
from tests.workloads.efs_fakes import MOUNTED, efs_inventory, fake_context, final_line
from tests.workloads.fakes import FakeHosts
from workloads import clocks
from workloads.cells import CellRun, IncompleteError
from workloads.clocks import HostClocks, Offset
from workloads.connectors.script import facts_in, script_command
from workloads.efs_iops import plan as plans
from workloads.efs_iops import run
from workloads.efs_iops.cloudwatch import was_busy
from workloads.efs_iops.configure import mount
from workloads.efs_iops.context import Context, file_system_of, mountstats_lines, script
from workloads.efs_iops.experiment import EXPERIMENT
from workloads.efs_iops.run import one_writer
from workloads.errors import WorkloadError
from workloads.experiment import Request
from workloads.results import Results
from workloads.run_stages import SERVICE_MODEL, start_results
from workloads.sampling import Sampling

PLAN = plans.Plan("test", 3, (plans.Group(("write",), (1,), (2,), (2,), None),))
TWO = plans.Plan("test", 3, (plans.Group(("write", "read"), (1,), (2,), (2, 1), None),))
STORAGE = '{"df_total_bytes": 1000, "df_used_bytes": 10, "files_bytes": 9}\n{"changed": 0}\n'

Answer = Callable[[str, str, list[str]], str]


@pytest.fixture
def results() -> Results:
    return Results.start(efs_inventory())


@pytest.fixture(autouse=True)
def _clocks_and_no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """client-2 is 300 s ahead; nobody samples."""
    offsets = {"client-1": Offset(0.0, 0.001, 5.0), "client-2": Offset(300.0, 0.001, 5.0)}
    monkeypatch.setattr(clocks, "measure", lambda connector: offsets[connector.name])
    monkeypatch.setattr(run, "sampling", lambda context, _: Sampling(context.hosts, context.results, []))


def good(host: str, script: str, arguments: list[str]) -> str:
    return STORAGE if script == "client_storage" else final_line(200 if host == "client-1" else 100)


def measure(context: Context, plan: plans.Plan) -> list[tuple[float, float]]:
    """A run, but for CloudWatch."""
    measuring = CellRun(context, len(plans.cells(plan)))
    ran, _ = run.measure_cells(context, plan, measuring)
    measuring.raise_incomplete("run again")
    return ran


def records(results: Results, name: str) -> list[dict[str, Any]]:
    path = results.directory / "raw" / f"{name}.ndjson"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def workers(hosts: FakeHosts) -> list[tuple[str, dict[str, str]]]:
    """What each worker was told: its host, and its arguments by flag."""
    found = []
    for host, name, words in hosts.sent:
        if name == "client_worker":
            pairs = dict(itertools.pairwise(words))
            found.append((host, {flag: value for flag, value in pairs.items() if flag.startswith("--")}))
    return found


def test_workers_start_at_one_point_in_time_whatever_their_clocks_show(results: Results) -> None:
    context, hosts = fake_context(good, results)
    before = time.time()
    measure(context, PLAN)
    starts = {host: float(told["--start-at"]) for host, told in workers(hosts)}
    assert starts["client-2"] - starts["client-1"] == pytest.approx(300.0)
    assert starts["client-1"] > before
    assert starts["client-1"] == math.floor(starts["client-1"]), "a whole second"
    (cell,) = records(results, "cells")
    assert cell["start_unix_s"] == starts["client-1"]
    assert (cell["complete"], cell["lost_hosts"], cell["hosts"]) == (True, [], ["client-1", "client-2"])
    offsets = {each["host"]: each["offset_s"] for each in records(results, "clocks")}
    assert offsets == {"client-1": 0.0, "client-2": 300.0}


def test_a_worker_is_told_to_do_what_the_original_did(results: Results) -> None:
    context, hosts = fake_context(good, results)
    measure(context, PLAN)
    (_, told), _ = workers(hosts)
    assert (told["--op"], told["--pattern"], told["--size"], told["--threads"]) == ("write", "fixed", "1", "1")
    (words,) = [words for host, name, words in hosts.sent if name == "client_worker" and host == "client-1"]
    assert {"--direct", "--sync"} <= set(words)
    assert words.count("--file") == 2


def test_what_workers_say_goes_to_the_results_with_cell_and_host(results: Results) -> None:
    context, _ = fake_context(good, results)
    ran = measure(context, PLAN)
    said = records(results, "worker")
    assert {(each["cell"], each["host"], each["ops"]) for each in said} == {
        ("write-1-w2-i2", "client-1", 200),
        ("write-1-w2-i2", "client-2", 100),
    }
    assert records(results, "storage")[0] | {"t_unix_s": 0} == {
        "t_unix_s": 0,
        "host": "client-1",
        "df_total_bytes": 1000,
        "df_used_bytes": 10,
        "files_bytes": 9,
    }
    (cell,) = records(results, "cells")
    assert ran == [(cell["start_unix_s"], cell["start_unix_s"] + 3)]
    assert was_busy(ran, cell["start_unix_s"] + 2.9, cell["start_unix_s"] + 60)
    assert not was_busy(ran, cell["start_unix_s"] + 3, cell["start_unix_s"] + 60)


def context_with_a_dying_client(results: Results) -> tuple[Context, FakeHosts]:
    """client-2 is gone when its first worker starts."""

    def answer(host: str, script: str, arguments: list[str]) -> str:
        if host == "client-2":
            hosts.dead.add("client-2")
            raise WorkloadError("the connection broke", "run the task again", host)
        return good(host, script, arguments)

    context, hosts = fake_context(answer, results)
    return context, hosts


def test_a_client_that_dies_leaves_the_others_records_and_is_asked_no_more(results: Results) -> None:
    context, hosts = context_with_a_dying_client(results)
    with pytest.raises(IncompleteError, match="2 of 4 cells are not complete, the first: write-1-w2-i2"):
        measure(context, TWO)
    by_cell = {cell["cell"]: cell for cell in records(results, "cells")}
    assert [name for name, cell in by_cell.items() if cell["complete"]] == ["write-1-w2-i1", "read-1-w2-i1"]
    assert by_cell["write-1-w2-i2"]["lost_hosts"] == ["client-2"]
    assert "the connection broke" in by_cell["write-1-w2-i2"]["reason"]
    assert "gone since an earlier cell" in by_cell["read-1-w2-i2"]["reason"]
    assert {each["cell"] for each in records(results, "worker")} == {"write-1-w2-i2", "write-1-w2-i1", "read-1-w2-i1"}
    assert sum(host == "client-2" for host, _ in workers(hosts)) == 1


def test_a_cell_that_is_not_begun_is_no_part_of_what_ran(results: Results) -> None:
    context, _ = context_with_a_dying_client(results)
    ran, _ = run.measure_cells(context, TWO, CellRun(context, 4))
    assert len(ran) == 3


def late_at_first(leads: list[float], tries: int = 1, ready: Answer = good) -> Answer:
    """client-1's first workers are not ready when their time comes; `leads` gets how long each was sent for before."""

    def answer(host: str, script: str, arguments: list[str]) -> str:
        if script == "client_worker" and host == "client-1":
            leads.append(float(arguments[arguments.index("--start-at") + 1]) - time.time())
            if len(leads) <= tries:
                words = "client_worker failed with exit code 2 (tidemark-worker: --start-at: got 1, which has passed"
                raise WorkloadError(words, "", host)
        return ready(host, script, arguments)

    return answer


def lead_after(tries: int, writers: int) -> float:
    """The least that a worker may be sent for before its time, less what making the attempt takes."""
    return run.LEAD_GROWTH**tries * (run.LEAD_SECONDS + run.LEAD_SECONDS_PER_WRITER * writers) - 0.2


def test_workers_that_were_not_ready_get_more_time(results: Results) -> None:
    leads: list[float] = []
    context, hosts = fake_context(late_at_first(leads), results)
    measure(context, PLAN)
    (cell,) = records(results, "cells")
    assert cell["complete"]
    assert len(leads) == 2
    assert leads[1] > lead_after(1, writers=2)
    assert hosts.dropped >= {"client-1", "client-2"}, "nobody works on for a cell that is begun anew"


def test_what_was_too_little_time_once_is_not_tried_again(results: Results) -> None:
    leads: list[float] = []
    context, _ = fake_context(late_at_first(leads), results)
    measure(context, TWO)
    assert len(leads) == 5, "four cells, one of them twice"
    assert min(leads[1:]) > lead_after(1, writers=2)


@pytest.mark.parametrize(
    ("stdout", "reason"),
    [
        (final_line(10, {"ENOSPC": 7, "EIO": 1}), "client-1: 8 writes failed (EIO, ENOSPC)"),
        (final_line(0), "client-1: not one write ended"),
        ('{"kind": "started", "pid": 7}', "client-1: the worker ended without a final line"),
    ],
)
def test_what_is_no_measurement(results: Results, stdout: str, reason: str) -> None:
    def answer(host: str, script: str, arguments: list[str]) -> str:
        return stdout if script == "client_worker" and host == "client-1" else good(host, script, arguments)

    context, _ = fake_context(answer, results)
    with pytest.raises(IncompleteError):
        measure(context, PLAN)
    (cell,) = records(results, "cells")
    assert cell["reason"] == reason


def test_an_interrupt_marks_the_cell_that_was_under_way(results: Results) -> None:
    def answer(host: str, script: str, arguments: list[str]) -> str:
        if script == "client_worker":
            raise KeyboardInterrupt
        return good(host, script, arguments)

    context, _ = fake_context(answer, results)
    with pytest.raises(KeyboardInterrupt):
        measure(context, PLAN)
    (cell,) = records(results, "cells")
    assert not cell["complete"]
    assert "interrupted" in cell["reason"]


def in_seconds(*means_ns: int) -> Answer:
    """A worker whose operations took so long in each second."""

    def answer(host: str, script: str, arguments: list[str]) -> str:
        if script != "client_worker":
            return good(host, script, arguments)
        each = {"kind": "interval", "ops": 10, "bytes": 10, "t_start_unix_s": 100.0, "t_end_unix_s": 101.0}
        seconds = [{**each, "latency_ns": {"count": 10, "sum": 10 * mean}} for mean in means_ns]
        return "\n".join([*map(json.dumps, seconds), final_line(200)])

    return answer


def test_one_writer_by_itself_is_not_recorded_and_a_second_that_others_spoilt_does_not_count(results: Results) -> None:
    context, hosts = fake_context(in_seconds(8_000_000, 900_000_000, 8_000_000), results)
    measured = HostClocks(context, ["client-1"])
    measured.measure()
    assert one_writer(context, 2, "read", measured) == pytest.approx(0.008)
    assert records(results, "worker") == []
    assert [host for host, _ in workers(hosts)] == ["client-1"]


def test_one_writer_that_was_not_ready_gets_more_time_too(results: Results) -> None:
    leads: list[float] = []
    context, _ = fake_context(late_at_first(leads, 2, in_seconds(8_000_000)), results)
    measured = HostClocks(context, ["client-1"])
    measured.measure()
    assert one_writer(context, 2, "read", measured) == pytest.approx(0.008)
    assert leads[1] > lead_after(1, writers=1)
    assert leads[2] > lead_after(2, writers=1)


# --- the mount -------------------------------------------------------------------------------------------


def mounted(options: str, device: str = "10.20.1.100:/", kind: str = "nfs4", tunnel: str = "") -> Answer:
    fact = {"device": device, "type": kind, "options": options, "tunnel": tunnel}
    return lambda host, script, arguments: json.dumps(fact)


TUNNELLED = MOUNTED.replace("proto=tcp", "noresvport,proto=tcp,port=20236").replace(
    "addr=10.20.1.100", "addr=127.0.0.1"
)


def test_a_mount_as_it_should_be_is_a_proof(results: Results) -> None:
    context, hosts = fake_context(mounted(MOUNTED), results)
    assert mount(context) == 0
    assert [(p["proof"], p["from"], p["to"], p["passed"]) for p in records(results, "proofs")] == [
        ("mount-options", "client-1", "fs-12345678", True),
        ("mount-options", "client-2", "fs-12345678", True),
    ]
    assert hosts.sent[0][2] == [
        "10.20.1.100",
        "/mnt/efs",
        "60",
        "15",
        "plain",
        "fs-12345678",
        "nfsvers=4.1,rsize=1048576,wsize=1048576,hard,timeo=600,retrans=2",
    ]


def test_a_tunnel_to_the_mount_target_is_a_proof(results: Results) -> None:
    context, _ = fake_context(mounted(TUNNELLED, "127.0.0.1:/", tunnel="10.20.1.100:2049"), results, tls=True)
    assert mount(context) == 0
    (proof, _) = records(results, "proofs")
    assert proof["passed"]
    assert proof["detail"].startswith("127.0.0.1:/ port 20236, a tunnel to 10.20.1.100:2049 nfs4 (rw,relatime,")


@pytest.mark.parametrize(
    ("answer", "tls", "there"),
    [
        (mounted(MOUNTED.replace("addr=10.20.1.100", "addr=10.99.9.9"), "10.99.9.9:/"), False, "10.99.9.9:/"),
        (mounted(MOUNTED, "10.20.1.100:/home"), False, "10.20.1.100:/home"),
        # The server that was mounted sent the client to another one (fs_locations, RFC 8881, 11).
        (mounted(MOUNTED.replace("addr=10.20.1.100", "addr=10.99.9.9")), False, "10.20.1.100:/ at 10.99.9.9"),
        (mounted("rw,relatime", r"//nas/My\040Share", "cifs"), False, r"//nas/My\040Share (cifs)"),
        (mounted("rw,fd=48,pgrp=1", "systemd-1", "autofs"), False, "systemd-1 (autofs)"),
        (mounted(TUNNELLED, "127.0.0.1:/"), False, "127.0.0.1:/ port 20236, a tunnel to an unknown place"),
        (mounted(TUNNELLED, "127.0.0.1:/"), True, "127.0.0.1:/ port 20236, a tunnel to an unknown place"),
        (
            mounted(TUNNELLED, "127.0.0.1:/", tunnel="10.99.9.9:2049"),
            True,
            "127.0.0.1:/ port 20236, a tunnel to 10.99.9.9:2049",
        ),
        (mounted(TUNNELLED, "127.0.0.1:/a", tunnel="10.20.1.100:2049"), True, "127.0.0.1:/a port 20236, a tunnel to"),
        # Mounted past the tunnel, nothing would be encrypted.
        (mounted(MOUNTED), True, "10.20.1.100:/"),
    ],
)
def test_another_file_system_at_the_mount_point_is_one_line_that_names_both(
    answer: Answer, tls: bool, there: str, results: Results
) -> None:
    context, hosts = fake_context(answer, results, tls=tls)
    with pytest.raises(WorkloadError) as fault:
        mount(context)
    assert str(fault.value).startswith(f"client-1: /mnt/efs has {there}")
    assert " mounted, and not 10.20.1.100:/ of fs-12345678" in str(fault.value)
    assert [(p["passed"], p["to"]) for p in records(results, "proofs")] == [(False, "fs-12345678")] * 2
    assert {script for _, script, _ in hosts.sent} == {"client_mount"}


def test_what_a_later_kernel_shows_is_noted_in_the_proof(results: Results) -> None:
    context, _ = fake_context(mounted(MOUNTED.replace("hard,", "hard,fatal_neterrors=none,")), results)
    assert mount(context) == 0
    assert {(p["passed"], p["detail"].partition("; ")[2]) for p in records(results, "proofs")} == {
        (True, "noted, since they change no operation: fatal_neterrors=none")
    }


def mounts_script(tmp_path: Path, mounts: str, tunnels: str = "") -> dict[str, Any]:
    """What client_mount.sh prints where /proc/self/mounts and /var/run/efs are as given."""
    (tmp_path / "mounts").write_text(mounts)
    text = script("client_mount").text.replace("/proc/self/mounts", f"{tmp_path}/mounts")
    text = text.replace("/var/run/efs", tunnels or f"{tmp_path}/none")
    words = ["10.20.1.100", "/mnt/efs", "1", "1", "plain", "fs-12345678", "hard"]
    command = script_command("client_mount", words, "root", locked=False)
    done = subprocess.run(["bash", "-c", command], input=text, capture_output=True, text=True, timeout=120, check=True)
    fact, end = facts_in(done.stdout)
    assert end == {"changed": 0}
    return fact


def test_of_mounts_that_lie_upon_each_other_the_last_is_what_is_there(tmp_path: Path) -> None:
    lines = f"10.20.1.100:/ /mnt/efs nfs4 {MOUNTED} 0 0\n10.99.9.9:/ /mnt/efs nfs4 rw 0 0\n/dev/sda1 / ext4 rw 0 0\n"
    assert mounts_script(tmp_path, lines)["device"] == "10.99.9.9:/"


def test_quotation_marks_and_blanks_of_a_mount_arrive(tmp_path: Path) -> None:
    options = 'rw,context="system_u:object_r:nfs_t:s0:c1",relatime'
    fact = mounts_script(tmp_path, rf"//nas/My\040Share /mnt/efs cifs {options} 0 0" + "\n")
    assert (fact["device"], fact["type"], fact["options"]) == (r"//nas/My\040Share", "cifs", options)


def test_where_a_tunnel_leads_says_the_configuration_of_the_process_that_listens(tmp_path: Path) -> None:
    line = f"127.0.0.1:/ /mnt/efs nfs4 {TUNNELLED} 0 0\n"
    config = tmp_path / "stunnel-config.fs-12345678.mnt.efs.20236"
    config.write_text("fips = no\n[efs]\naccept = 127.0.0.1:20236\nconnect = 10.20.1.100:2049\nverify = 2\n")
    (tmp_path / "stunnel-config.fs-99.mnt.other.20237").write_text("connect = 10.99.9.9:2049\n")
    assert mounts_script(tmp_path, line, str(tmp_path))["tunnel"] == "", "of a tunnel that has gone"
    tunnel = subprocess.Popen(["bash", "-c", "read -r _", str(config)], stdin=subprocess.PIPE)
    try:
        assert mounts_script(tmp_path, line, str(tmp_path))["tunnel"] == "10.20.1.100:2049"
    finally:
        tunnel.communicate()


def test_files_are_made_on_no_other_file_system(tmp_path: Path) -> None:
    """The folder that is to be ours may be a link to somewhere else."""

    def make(folder: Path) -> subprocess.CompletedProcess[str]:
        words = [str(tmp_path), str(folder), "2", "10", "0", "0"]
        command = script_command("client_files", words, "root", locked=False)
        text = script("client_files").text
        return subprocess.run(
            ["bash", "-c", command], input=text, capture_output=True, text=True, timeout=120, check=False
        )

    assert make(tmp_path / "tidemark" / "client-1").returncode == 0
    assert sorted(each.name for each in (tmp_path / "tidemark/client-1").iterdir()) == ["fixed-0001", "fixed-0002"]
    with tempfile.TemporaryDirectory(dir="/dev/shm") as elsewhere:
        assert Path(elsewhere).stat().st_dev != tmp_path.stat().st_dev
        (tmp_path / "away").symlink_to(elsewhere)
        done = make(tmp_path / "away")
        assert done.returncode == 1
        assert f"{tmp_path}/away is not on the file system at {tmp_path}|" in done.stderr
        assert list(Path(elsewhere).iterdir()) == []


def test_an_option_that_differs_stops_the_run(results: Results) -> None:
    context, _ = fake_context(mounted(MOUNTED.replace("timeo=600", "timeo=300")), results)
    with pytest.raises(WorkloadError, match="timeo is 300, expected 600"):
        mount(context)
    assert [p["passed"] for p in records(results, "proofs")] == [False, False]


def test_a_zone_without_a_mount_target_is_refused_before_any_host_is_touched() -> None:
    inventory = efs_inventory()
    (host, *others) = inventory.to_dict()["hosts"]
    elsewhere = efs_inventory(hosts=[{**host, "zone": "eu-central-1b"}, *others])
    with pytest.raises(InventoryError, match="fs-12345678: no mount target in eu-central-1b"):
        file_system_of(elsewhere)
    with pytest.raises(InventoryError, match="no file_system in the inventory"):
        file_system_of(efs_inventory(file_system=None))


# --- the sources -----------------------------------------------------------------------------------------


def test_a_copy_of_mountstats_becomes_a_record_when_it_is_whole() -> None:
    text = (Path(__file__).parent / "recorded" / "mountstats-after.txt").read_text()
    take = mountstats_lines("client-1")
    said = [take(line) for line in ["@@ 100.5", *text.splitlines()[:4], "@@ 101.5", *text.splitlines(), "@@ end"]]
    assert [record for record in said if record is not None] == [said[-1]]
    record = said[-1]
    assert record is not None
    assert (record["t_unix_s"], record["host"]) == (101.5, "client-1")
    assert record["ops"]["WRITE"]["operations"] > 0


def test_samples_are_taken_when_a_second_of_the_runners_begins(results: Results) -> None:
    """At 0.25 past the whole second of a clock that is a quarter of a second ahead."""
    text = (
        script("client_mountstats")
        .text.replace("/proc/self/mountstats", "/dev/null")
        .replace("while true", "for _ in 1 2")
    )
    command = script_command("client_mountstats", ["250000"], "root", locked=False)
    done = subprocess.run(["bash", "-c", command], input=text, capture_output=True, text=True, timeout=120, check=True)
    times = [float(line.removeprefix("@@ ")) for line in done.stdout.splitlines() if line.startswith("@@ 1")]
    assert len(times) == 2
    assert all((seen - 0.25) % 1 < 0.9 for seen in times), "never before it"
    assert times[1] - times[0] > 0.5


def test_the_rehearsals_service_model_is_copied_and_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEMARK_LAB_DIR", str(tmp_path))
    monkeypatch.setenv("TIDEMARK_RESULTS_DIR", str(tmp_path / "results"))
    (tmp_path / SERVICE_MODEL).write_text("whatever it says")
    for rehearsal in (False, True):
        context, _ = fake_context(good, inventory=efs_inventory(rehearsal=rehearsal))
        results = start_results(Request(EXPERIMENT, "configure", {}), context)
        assert (results.directory / SERVICE_MODEL).exists() is rehearsal
    assert (results.directory / SERVICE_MODEL).read_text() == "whatever it says"
