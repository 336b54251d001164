"""s3-throttle on a real host, over a link of known rate: syncs are held, objects arrive whole, faults are one line."""

from __future__ import annotations

import contextlib
import json
import shlex
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab import control
from lab.clients import Clients
from lab.paths import PROJECT
from lab.provider.s3 import empty
from tests.workloads.fabric_task import fab
from workloads import deployment, load_inventory
from workloads.console import Console
from workloads.s3_throttle.context import Context

pytestmark = [pytest.mark.kernel, pytest.mark.timeout(900)]

TINY = """
name = "tiny"
seconds = 2
most_seconds = 12
precision = 0.03
object_bytes = 131072
probe_bytes = 8388608
closed_loop = [0.25]
max_bandwidth = []
tc = []
[[duty_cycle]]
stop_s = 0.2
run_s = 0.2
[[duty_cycle]]
stop_s = 0.2
run_s = 0.2
send_buffer_bytes = 16384
"""
TOKEN = "curl -sf -X PUT http://169.254.169.254/latest/api/token -H 'X-aws-ec2-metadata-token-ttl-seconds: 60'"
CREDENTIALS = "http://169.254.169.254/latest/meta-data/iam/security-credentials/"


@pytest.fixture(autouse=True)
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A place of its own for each test's results."""
    monkeypatch.setenv("TIDEMARK_RESULTS_DIR", str(tmp_path / "results"))
    return tmp_path / "results"


@pytest.fixture
def context(s3_throttle_region: Path) -> Iterator[Context]:
    """A connection to the uploader."""
    with deployment.connected(load_inventory.load(None, str(s3_throttle_region)), Console()) as found:
        yield Context.of(found)


@pytest.fixture(scope="module")
def clients(s3_throttle_region: Path) -> Clients:
    region = control.running()
    return Clients(region.url, region.region)


def plan_file(folder: Path, text: str = TINY) -> str:
    path = folder / "plan.toml"
    path.write_text(text)
    return str(path)


def said(context: Context, command: str) -> str:
    lines: list[str] = []
    context.connector.execute(shlex.join(["bash", "-c", command]), lines.append, idle_timeout_seconds=60)
    return "\n".join(lines)


def records(results: Path, stream: str) -> list[dict[str, Any]]:
    (run,) = results.glob("s3-throttle/*/*")
    return [json.loads(line) for line in (run / "raw" / f"{stream}.ndjson").read_text().splitlines()]


def one_line(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return [line for line in done.stderr.splitlines() if line.startswith("tidemark: ")][-1]


@contextlib.contextmanager
def under_way(
    region: Path, folder: Path, results: Path, clients: Clients, bucket: str
) -> Iterator[subprocess.Popen[str]]:
    """A run whose second sync, of half a minute, has uploaded something."""
    plan = plan_file(
        folder, TINY.partition("[[")[0].replace("seconds = 2\nmost_seconds = 12", "seconds = 30\nmost_seconds = 60")
    )
    command = [sys.executable, "-m", "fabric", "s3-throttle.run", "--inventory", str(region), "--plan", plan]
    run = subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        deadline = time.monotonic() + 120
        while True:
            found = clients.s3.list_objects_v2(Bucket=bucket).get("Contents", [])
            if any("/closed-loop-0.25/" in each["Key"] for each in found):
                break
            assert run.poll() is None, run.communicate()[0]
            assert time.monotonic() < deadline, "no object of the second sync has come"
            time.sleep(0.2)
        yield run
    finally:
        run.kill()
        run.wait()


def test_a_second_run_is_refused_and_a_bucket_that_goes_ends_the_first(
    s3_throttle_region: Path, tmp_path: Path, results: Path, clients: Clients, context: Context
) -> None:
    bucket = context.bucket.name
    arguments = ["--inventory", str(s3_throttle_region), "--plan", plan_file(tmp_path)]
    with under_way(s3_throttle_region, tmp_path, results, clients, bucket) as first:
        second = one_line(fab("s3-throttle.run", *arguments))
        assert "uploader: another run is under way: " in second
        assert f"(process {first.pid})" in second
        while True:
            empty(clients.s3, bucket)
            try:
                clients.s3.delete_bucket(Bucket=bucket)
                break
            except clients.s3.exceptions.ClientError:  # one more has come meanwhile
                continue
        try:
            words, _ = first.communicate(timeout=60)
            assert first.returncode == 1
            assert f"\ntidemark: bucket {bucket}: S3 answers NoSuchBucket" in words
            again = one_line(fab("s3-throttle.configure", *arguments))
            assert f"bucket {bucket}: S3 answers NoSuchBucket" in again
        finally:
            clients.s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})


def test_an_endpoint_that_cannot_be_reached_is_one_line(
    s3_throttle_region: Path, tmp_path: Path, context: Context
) -> None:
    said(context, "sudo ip rule add to 198.51.100.1 ipproto tcp dport 80 blackhole")
    try:
        done = fab("s3-throttle.configure", "--inventory", str(s3_throttle_region), "--plan", plan_file(tmp_path))
        assert "uploader: S3 does not answer at 198.51.100.1 port 80; see that the security group" in one_line(done)
    finally:
        said(context, "sudo ip rule del to 198.51.100.1 ipproto tcp dport 80 blackhole")


def test_without_credentials_is_one_line(
    s3_throttle_region: Path, tmp_path: Path, clients: Clients, context: Context
) -> None:
    name = {"InstanceProfileName": "tidemark-s3-throttle-lab-profile", "RoleName": "tidemark-s3-throttle-lab-role"}
    clients.iam.remove_role_from_instance_profile(**name)
    try:
        done = fab("s3-throttle.run", "--inventory", str(s3_throttle_region), "--plan", plan_file(tmp_path))
        words = (
            "free: the sync ended with 1: fatal error: Unable to locate credentials; see that the uploader's instance"
        )
        assert words in one_line(done)
    finally:
        clients.iam.add_role_to_instance_profile(**name)


def test_of_a_run_that_is_killed_no_process_stays(
    s3_throttle_region: Path, tmp_path: Path, results: Path, clients: Clients, context: Context
) -> None:
    """What it has uploaded stays until the next run, which is the next test."""
    bucket = context.bucket.name
    with under_way(s3_throttle_region, tmp_path, results, clients, bucket) as run:
        assert said(context, "pgrep -fc 's3 [s]ync'") != "0"
        run.kill()
        deadline = time.monotonic() + 30
        # The throttle's watchdog is one of them; T is who is stopped.
        while left := said(context, "pgrep -af 's3 [s]ync|[s]3_throttle'; ps -eo stat=,args= | grep '^T'"):
            assert time.monotonic() < deadline, left
    assert clients.s3.list_objects_v2(Bucket=bucket)["KeyCount"] > 0


def test_a_run_holds_syncs_and_leaves_nothing(
    s3_throttle_region: Path, tmp_path: Path, results: Path, clients: Clients, context: Context
) -> None:
    arguments = ["--inventory", str(s3_throttle_region), "--plan", plan_file(tmp_path)]
    send_buffers = said(context, "cat /proc/sys/net/ipv4/tcp_wmem")
    done = fab("s3-throttle.run", *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    assert said(context, "cat /proc/sys/net/ipv4/tcp_wmem") == send_buffers
    cells = {record["cell"]: record for record in records(results, "cells")}
    small = "duty-cycle-0.2-0.2-wmem-16384"
    assert list(cells) == ["free", "duty-cycle-0.2-0.2", small, "closed-loop-0.25", "free-again"]
    assert all(cell["complete"] for cell in cells.values())
    assert (cells["free"]["exit_code"], cells["free"]["ended_by"]) == (0, "itself")
    assert all(cells[name]["ended_by"] in ("known", "bound") for name in cells if name != "free")
    assert all(cell["cli"]["retries"] == cell["cli"]["failures"] == 0 for cell in cells.values())
    assert cells["closed-loop-0.25"]["throttle"]["stops"] > 0
    proofs = records(results, "proofs")
    assert [proof["passed"] for proof in proofs] == [True] * 5
    # What the interface counted is what was uploaded, with headers and little else.
    network = records(results, "network")
    sent = [record["nic_tx_bytes"] for record in network if record["cell"] == "free"]
    payload = cells["free"]["objects"] * cells["free"]["object_bytes"]
    assert payload < sent[-1] - sent[0] < 1.5 * payload
    for name, cell in cells.items():
        seconds = [record["t_unix_s"] for record in network if record["cell"] == name]
        assert seconds[0] < cell["steady_from_unix_s"] < cell["steady_until_unix_s"] <= seconds[-1]
        assert cell["known_to_ratio"] > 0
    # With a small send buffer less waits in it when a stop begins.
    stops = records(results, "stops")
    waiting = {
        name: statistics.fmean(stop["unacked_bytes"] for stop in stops if stop["cell"] == name)
        for name in ("duty-cycle-0.2-0.2", small)
    }
    assert 0 < waiting[small] < waiting["duty-cycle-0.2-0.2"]
    bucket = context.bucket.name
    assert clients.s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0

    # Again: nothing is left to change. And of the role's credentials nothing is in the results.
    again = fab("s3-throttle.configure", *arguments)
    assert "nothing changed" in again.stdout, again.stdout + again.stderr
    role = said(context, f'curl -s -H "X-aws-ec2-metadata-token: $({TOKEN})" {CREDENTIALS}$(cat /dev/null)')
    assert role == "tidemark-s3-throttle-lab-role"
    written = "".join(path.read_text() for path in results.rglob("*") if path.is_file())
    for word in ("SecretAccessKey", "AccessKeyId", "SessionToken", "aws_secret_access_key"):
        assert word not in written


def test_the_metadata_service_asks_for_a_token(context: Context) -> None:
    assert said(context, f"curl -s -o /dev/null -w '%{{http_code}}' {CREDENTIALS}") == "401"
    wrong = f"curl -s -o /dev/null -w '%{{http_code}}' -H 'X-aws-ec2-metadata-token: guessed' {CREDENTIALS}"
    assert said(context, wrong) == "401"


def test_beyond_the_gateway_s3_answers_and_nothing_else_of_the_api(context: Context) -> None:
    answer = said(context, "curl -s -m 10 'http://198.51.100.1/?Action=DescribeInstances'")
    assert "AccessDenied" in answer
