"""What a backend knows, by a `pulumi` that answers as the real one (tests/engine asks that)."""

from __future__ import annotations

import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from workloads.account_reap import read_states
from workloads.errors import WorkloadError

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
STATE = {
    "version": 3,
    "deployment": {
        "resources": [
            {"urn": "urn:1", "type": "aws:ec2/vpc:Vpc", "id": "vpc-1", "outputs": {"tags": {"a": "b"}}},
            {"urn": "urn:2", "id": "key", "outputs": {"keyPairId": "key-2", "list": ["deep", {"x": "deeper"}], "n": 3}},
        ],
        "pending_operations": [{"type": "creating", "resource": {"urn": "urn:3"}}],
    },
}


@pytest.fixture
def pulumi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Puts a `pulumi` on PATH: `answers` by the words of a command, or an exit code and a line."""
    folder = tmp_path / "bin"
    folder.mkdir()

    def with_answers(answers: dict[str, Any]) -> None:
        (folder / "answers.json").write_text(json.dumps(answers))
        (folder / "pulumi").write_text(
            f"#!{sys.executable} -S\n"  # not a version manager's python3, which takes 0.14 s of CPU time to find it
            "import json, os, sys\n"
            f"answers = json.load(open({str(folder / 'answers.json')!r}))\n"
            "answer = answers[' '.join(sys.argv[1:])]\n"
            "if isinstance(answer, str): sys.exit(answer)\n"
            "print(json.dumps(answer).replace('BACKEND', os.environ.get('PULUMI_BACKEND_URL', 'none')))\n"
        )
        (folder / "pulumi").chmod(0o755)

    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return with_answers


def answers(url: str = "BACKEND", **stack: Any) -> dict[str, Any]:
    return {
        "whoami --json --non-interactive": {"user": "me", "url": url},
        "stack ls --json --non-interactive": [{"name": "md-raid.lab", "lastUpdate": "2026-11-30T11:30:00.1Z", **stack}],
        f"stack export --stack {stack.get('name', 'md-raid.lab')} --non-interactive": STATE,
    }


def test_every_string_of_every_resource_is_known(pulumi: Any, tmp_path: Path) -> None:
    pulumi(answers())
    known = read_states(f"file://{tmp_path}", NOW)
    assert known.backend == f"file://{tmp_path}"
    assert known.stacks == {"md-raid.lab"}
    assert {"vpc-1", "key", "key-2", "deep", "deeper"} <= known.strings
    assert "urn:3" not in known.strings, "what was being created has no id"
    assert known.busy == {}


def test_a_locked_stack_is_busy(pulumi: Any, tmp_path: Path) -> None:
    pulumi(answers())
    lock = tmp_path / ".pulumi" / "locks" / "organization" / "tidemark" / "md-raid.lab"
    lock.mkdir(parents=True)
    (lock / "43e51f44.json").write_text("{}")
    known = read_states(f"file://{tmp_path}", NOW)
    assert known.busy == {
        "md-raid.lab": "its stack is locked: wait, or run pulumi cancel -s md-raid.lab if the update was killed"
    }


@pytest.mark.parametrize(
    ("url", "stack", "busy"),
    [
        ("https://app.pulumi.com/me", {"updateInProgress": True}, True),
        ("https://app.pulumi.com/me", {"updateInProgress": False}, False),
        ("https://app.pulumi.com/me", {"name": "me/md-raid.lab", "updateInProgress": True}, True),
        ("s3://bucket", {}, True),
        ("s3://bucket", {"lastUpdate": "2026-11-30T10:59:00Z"}, False),
        ("s3://bucket", {"lastUpdate": None}, False),
    ],
)
def test_a_stack_that_an_engine_may_be_changing_is_busy(
    pulumi: Any, url: str, stack: dict[str, Any], busy: bool
) -> None:
    pulumi(answers(url, **stack))
    known = read_states(None, NOW)
    assert known.stacks == {"md-raid.lab"}
    assert ("md-raid.lab" in known.busy) == busy


def test_a_state_that_can_not_be_read_is_an_error(pulumi: Any) -> None:
    pulumi(answers() | {"stack export --stack md-raid.lab --non-interactive": "error: no such stack"})
    with pytest.raises(WorkloadError, match=r"stack export --stack md-raid\.lab`: error: no such stack"):
        read_states(None, NOW)


def test_without_pulumi_nothing_is_an_orphan(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(WorkloadError, match="pulumi is not on PATH"):
        read_states(None)
