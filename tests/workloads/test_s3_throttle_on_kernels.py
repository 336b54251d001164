"""s3-throttle on a real host, over a link of known rate: syncs are held, objects arrive whole, faults are one line."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab import control
from lab.clients import Clients
from lab.provider.s3 import empty
from tests.workloads.fabric_task import fab
from workloads import deployment, sources
from workloads.console import Console
from workloads.s3_throttle.context import Context

pytestmark = [pytest.mark.kernel, pytest.mark.timeout(900)]

TINY = """
name = "tiny"
seconds = 2
object_bytes = 131072
least_objects = 8
probe_bytes = 2097152
closed_loop = [0.25]
max_bandwidth = []
tc = []
[[duty_cycle]]
stop_s = 0.2
run_s = 0.2
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
    with deployment.connected(sources.load(None, str(s3_throttle_region)), Console()) as found:
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
    context.remote.stream(command, lines.append, silence_s=60)
    return "\n".join(lines)


def records(results: Path, stream: str) -> list[dict[str, Any]]:
    (run,) = results.glob("s3-throttle/*/*")
    return [json.loads(line) for line in (run / "raw" / f"{stream}.ndjson").read_text().splitlines()]


def one_line(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return [line for line in done.stderr.splitlines() if line.startswith("tidemark: ")][-1]


def test_a_run_holds_syncs_and_leaves_nothing(
    s3_throttle_region: Path, tmp_path: Path, results: Path, clients: Clients, context: Context
) -> None:
    arguments = ["--inventory", str(s3_throttle_region), "--plan", plan_file(tmp_path)]
    done = fab("s3-throttle.run", *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    cells = {record["cell"]: record for record in records(results, "cells")}
    assert list(cells) == ["free", "duty-cycle-0.2-0.2", "closed-loop-0.25", "free-again"]
    assert all(cell["complete"] and cell["exit_code"] == 0 for cell in cells.values())
    assert all(cell["cli"]["retries"] == cell["cli"]["failures"] == 0 for cell in cells.values())
    assert cells["closed-loop-0.25"]["throttle"]["stops"] > 0
    proofs = records(results, "proofs")
    assert [proof["passed"] for proof in proofs] == [True] * 4
    # What the interface counted is what was uploaded, with headers and little else.
    for name, cell in cells.items():
        sent = [record["nic_tx_bytes"] for record in records(results, "network") if record["cell"] == name]
        payload = cell["objects"] * cell["object_bytes"]
        assert payload < sent[-1] - sent[0] < 1.5 * payload
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


def test_a_bucket_that_is_gone_is_one_line(
    s3_throttle_region: Path, tmp_path: Path, clients: Clients, context: Context
) -> None:
    bucket = context.bucket.name
    empty(clients.s3, bucket)
    clients.s3.delete_bucket(Bucket=bucket)
    try:
        done = fab("s3-throttle.configure", "--inventory", str(s3_throttle_region), "--plan", plan_file(tmp_path))
        assert f"bucket {bucket}: S3 answers NoSuchBucket" in one_line(done)
    finally:
        clients.s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
