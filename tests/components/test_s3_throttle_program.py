"""The whole program of s3-throttle under mocks: what it declares, who may do what, what it exports and refuses."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from components.bucket import bucket_name
from inventory import Bucket
from tests.components.every_stack import (
    check_boot_order,
    check_image,
    check_names,
    check_root_volumes,
    check_tags,
    inventory_of,
)
from tests.components.stack_program import Run, config_with
from tests.components.wrong_stack import Wrong, lines_of_refusal

STACK = "s3-throttle.eu-central-1"
LAB = "s3-throttle.lab"
NOBODY = "http://127.0.0.1:9"  # discard (RFC 863): nobody answers
NAME = "tidemark-s3-throttle-eu-central-1"
# AWS has no tags for these.
UNTAGGED = (
    ":Route",
    ":RouteTableAssociation",
    ":BucketPublicAccessBlock",
    ":BucketServerSideEncryptionConfiguration",
    ":BucketPolicy",
    ":RolePolicy",
)


@pytest.fixture
def run(declare_once: Callable[..., Run]) -> Run:
    """The unchanged stack."""
    return declare_once(STACK)


def statements(policy: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(policy)["Statement"]
    return found


def test_declares_one_host_and_one_bucket(run: Run) -> None:
    kinds = Counter(resource.type.rpartition(":")[2] for resource in run.resources if resource.custom)
    once = ("Instance", "Bucket", "BucketPublicAccessBlock", "BucketServerSideEncryptionConfiguration", "BucketPolicy")
    for kind in (*once, "Role", "RolePolicy", "InstanceProfile", "KeyPair", "Vpc", "Subnet"):
        assert kinds[kind] == 1, kind


def test_what_is_true_of_every_stack(run: Run) -> None:
    check_names(run)
    check_tags(run, "s3-throttle", STACK, UNTAGGED)
    check_root_volumes(run, STACK)
    check_boot_order(run)
    check_image(run)


def test_the_bucket_is_private_encrypted_and_unversioned(run: Run) -> None:
    closed = run.one(":BucketPublicAccessBlock").inputs
    assert {closed[key] for key in closed if key != "bucket"} == {True}
    assert len(closed) == 5
    (rule,) = run.one(":BucketServerSideEncryptionConfiguration").inputs["rules"]
    assert rule["applyServerSideEncryptionByDefault"] == {"sseAlgorithm": "AES256"}
    assert not run.of(":BucketVersioning")


def test_only_the_stack_s_role_may_fill_what_destroy_empties(run: Run) -> None:
    assert run.one(":Bucket").inputs["forceDestroy"] is True
    by_sid = {each["Sid"]: each for each in statements(run.one(":BucketPolicy").inputs["policy"])}
    filled = by_sid["FilledByThisStackAlone"]
    assert (filled["Effect"], filled["Principal"], filled["Action"]) == ("Deny", "*", "s3:PutObject")
    (condition,) = filled["Condition"]["StringNotEquals"].items()
    assert condition == ("aws:PrincipalArn", f"arn:aws:mock:::{NAME}-role")
    tls = by_sid["OverTlsAlone"]
    assert (tls["Effect"], tls["Condition"]) == ("Deny", {"Bool": {"aws:SecureTransport": "false"}})


def test_the_role_may_fill_this_bucket_and_nothing_more(run: Run) -> None:
    (trust,) = statements(run.one(":Role").inputs["assumeRolePolicy"])
    assert trust["Principal"] == {"Service": "ec2.amazonaws.com"}
    allowed = statements(run.one(":RolePolicy").inputs["policy"])
    assert {each["Effect"] for each in allowed} == {"Allow"}
    actions = {action for each in allowed for action in [each["Action"]] if isinstance(action, str)}
    actions |= {action for each in allowed if isinstance(each["Action"], list) for action in each["Action"]}
    assert actions == {"s3:ListBucket", "s3:PutObject", "s3:AbortMultipartUpload"}
    bucket = f"arn:aws:mock:::{NAME}"
    assert [each["Resource"] for each in allowed] == [bucket, f"{bucket}/*"]


def test_the_host_acts_in_the_role_and_boots_after_its_policy(run: Run) -> None:
    instance, profile = run.one(":Instance"), run.one(":InstanceProfile")
    assert profile.inputs["role"] == run.one(":Role").name
    assert instance.inputs["iamInstanceProfile"] == profile.name
    assert run.one(":RolePolicy").urn in instance.dependencies
    assert "uplink-mbit-per-s" not in instance.inputs["tags"]


def test_the_inventory_has_the_bucket(run: Run) -> None:
    inventory = inventory_of(run)
    assert inventory.bucket == Bucket(f"id-{NAME}", None, None)
    assert [(host.name, host.role) for host in inventory.hosts] == [("uploader", "uploader")]
    assert inventory.file_system is None


def test_an_endpoint_that_nobody_answers_is_one_line(public_key_file: Path) -> None:
    endpoints = json.dumps([dict.fromkeys(("ec2", "iam", "s3", "ssm", "sts"), "http://127.0.0.1:9")])
    (line,) = lines_of_refusal(LAB, config_with(LAB, {"aws:endpoints": endpoints}, public_key_file))
    assert line.startswith("aws:endpoints: ")


@pytest.mark.parametrize(
    "wrong",
    [
        Wrong(
            {"tidemark:bucketEndpoint": "http://198.51.100.1"},
            "tidemark:bucketEndpoint: http://198.51.100.1 is for a rehearsal, and this stack is for AWS",
        ),
        Wrong(
            {"tidemark:uplinkMbitPerS": "16"},
            "tidemark:uplinkMbitPerS: 16 is for a rehearsal, and this stack is for AWS",
        ),
        Wrong(
            {"tidemark:uplinkMbitPerS": "fast"},
            "tidemark:uplinkMbitPerS: fast is not a whole number; allowed are 1 to 1000, or none",
        ),
        Wrong(
            {"tidemark:memoryLimitMib": "128"},
            "tidemark:memoryLimitMib: 128 is out of range; allowed are 512 to 16777216, or none",
        ),
        Wrong(
            {"tidemark:storageType": "m4.xlarge"},
            "tidemark:storageType: not a setting of this experiment; did you mean tidemark:uploaderType?",
        ),
    ],
    ids=str,
)
def test_a_wrong_stack_is_one_line(wrong: Wrong, public_key_file: Path) -> None:
    (line,) = lines_of_refusal(STACK, config_with(STACK, wrong.changes, public_key_file))
    assert line.startswith(wrong.line.partition(";")[0])


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"tidemark:bucketEndpoint": None}, "tidemark:bucketEndpoint: missing"),
        (
            {"tidemark:bucketEndpoint": "ftp://198.51.100.1"},
            "tidemark:bucketEndpoint: ftp://198.51.100.1 is not a plain URL",
        ),
        (
            {"tidemark:bucketEndpoint": "http://[198.51.100.1"},
            "tidemark:bucketEndpoint: http://[198.51.100.1 is not a plain URL",
        ),
        (
            {"aws:endpoints": '[{"ec2": "http://127.0.0.1:9", "iam": "http://127.0.0.1:9"}]'},
            "aws:endpoints: without s3,",
        ),
        (
            {"aws:endpoints": '[{"ec2": "http://127.0.0.1:9", "s3": "http://127.0.0.1:9"}]'},
            "aws:endpoints: without iam,",
        ),
    ],
)
def test_a_wrong_rehearsal_is_one_line(changes: dict[str, str | None], expected: str, public_key_file: Path) -> None:
    # At a port where nothing listens: a rehearsal of somebody's may be at the one of the stack's file.
    endpoints = json.dumps([dict.fromkeys(("ec2", "iam", "s3", "ssm", "sts"), "http://127.0.0.1:9")])
    lines = lines_of_refusal(LAB, config_with(LAB, {"aws:endpoints": endpoints, **changes}, public_key_file))
    assert any(line.startswith(expected) for line in lines), lines


@pytest.mark.parametrize(
    ("stack", "name"),
    [
        ("s3-throttle.eu-central-1", NAME),
        ("S3 Throttle_of.Ann!", "tidemark-s3-throttle-of-ann"),
        ("a" * 80, f"tidemark-{'a' * 42}"),
        (f"{'a' * 41}.b", f"tidemark-{'a' * 41}"),
    ],
)
def test_a_bucket_s_name_is_one_that_s3_takes_and_its_role_s_one_that_iam_takes(stack: str, name: str) -> None:
    assert bucket_name("tidemark", stack) == name
    assert len(name) + len("-1234567") <= 63
    assert len(name) + len("-role-1234567") <= 64
