"""What came to the bucket is compared byte by byte, and only what is a run's own is deleted."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from moto import mock_aws

from workloads.errors import WorkloadError
from workloads.s3_throttle import objects
from workloads.s3_throttle.objects import check_bucket, differences, remove, s3_client

FILES = {f"object-{number:06}": bytes([number]) * 1000 for number in range(1, 11)}
SUMS = [hashlib.sha256(content).hexdigest() for content in FILES.values()]


@pytest.fixture
def context(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A bucket with one sync's objects, and one object that is another stack's."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.delenv(name, raising=False)
    found: Any = SimpleNamespace(
        inventory=SimpleNamespace(region="eu-central-1"), bucket=SimpleNamespace(name="a-bucket")
    )
    with mock_aws():
        s3 = s3_client(found)
        s3.create_bucket(Bucket="a-bucket", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
        for name, content in FILES.items():
            s3.put_object(Bucket="a-bucket", Key=f"stack/run/cell/{name}", Body=content)
        s3.put_object(Bucket="a-bucket", Key="stack-2/run/cell/object-000001", Body=b"another's")
        yield found


def test_what_is_the_same_is_found_to_be(context: Any) -> None:
    assert differences(context, "stack/run/cell/", SUMS, 10, whole=True) == (10, [])


def test_one_byte_is_found(context: Any) -> None:
    changed = b"x" + FILES["object-000007"][1:]
    s3_client(context).put_object(Bucket="a-bucket", Key="stack/run/cell/object-000007", Body=changed)
    count, (found,) = differences(context, "stack/run/cell/", SUMS, 10, whole=True)
    assert count == 10
    assert found.startswith(
        f"stack/run/cell/object-000007 has SHA-256 {hashlib.sha256(changed).hexdigest()}, expected "
    )


def test_one_too_few_is_found(context: Any) -> None:
    s3_client(context).delete_object(Bucket="a-bucket", Key="stack/run/cell/object-000007")
    assert differences(context, "stack/run/cell/", SUMS, 10, whole=True) == (9, ["9 objects, expected 10"])


def test_of_a_sync_that_was_ended_some_may_be_missing_but_not_all(context: Any) -> None:
    s3_client(context).delete_object(Bucket="a-bucket", Key="stack/run/cell/object-000007")
    assert differences(context, "stack/run/cell/", SUMS, 500, whole=False) == (9, [])
    assert differences(context, "stack/run/nothing/", SUMS, 500, whole=False) == (0, ["0 objects, expected some"])


def test_the_files_come_over_and_over_and_others_are_found(context: Any) -> None:
    """The pool has five files, the first of which is the sixth object, too."""
    for number in range(6, 11):
        again = FILES[f"object-{number - 5:06}"]
        s3_client(context).put_object(Bucket="a-bucket", Key=f"stack/run/cell/object-{number:06}", Body=again)
    assert differences(context, "stack/run/cell/", SUMS[:5], 10, whole=True) == (10, [])
    count, (stranger,) = differences(context, "stack/run/cell/", SUMS[:5], 9, whole=False)
    assert (count, stranger.endswith("expected no such object")) == (10, True)


def test_only_what_is_below_the_prefix_is_deleted(context: Any) -> None:
    assert remove(context, "stack/") == len(FILES)
    assert [each["Key"] for each in s3_client(context).list_objects_v2(Bucket="a-bucket")["Contents"]] == [
        "stack-2/run/cell/object-000001"
    ]
    assert remove(context, "stack/") == 0
    with pytest.raises(WorkloadError, match="no prefix"):
        remove(context, "/")


def test_more_are_deleted_than_s3_takes_at_once(context: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objects, "DELETED_AT_ONCE", 3)
    assert remove(context, "stack/") == len(FILES)
    assert remove(context, "stack/") == 0


def test_an_object_that_s3_keeps_is_named(context: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    s3 = s3_client(context)
    kept = {"Key": "stack/run/cell/object-000003", "Code": "AccessDenied", "Message": "Access Denied"}
    monkeypatch.setattr(s3, "delete_objects", lambda **_: {"Deleted": [{"Key": "another"}], "Errors": [kept]})
    monkeypatch.setattr(objects, "s3_client", lambda _: s3)
    with pytest.raises(WorkloadError, match=r"1 of 10 objects in a-bucket, such as \S*object-000003 \(AccessDenied\)"):
        remove(context, "stack/")


def test_what_comes_after_an_object_that_s3_keeps_is_deleted(context: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    s3, asked = s3_client(context), list[str]()

    def refuse_first(Delete: dict[str, Any], **_: Any) -> dict[str, Any]:
        keys = [each["Key"] for each in Delete["Objects"]]
        asked.extend(keys)
        return {"Errors": [{"Key": keys[0], "Code": "AccessDenied"}]} if len(asked) == 3 else {}

    monkeypatch.setattr(s3, "delete_objects", refuse_first)
    monkeypatch.setattr(objects, "s3_client", lambda _: s3)
    monkeypatch.setattr(objects, "DELETED_AT_ONCE", 3)
    with pytest.raises(WorkloadError, match="1 of 10 objects"):
        remove(context, "stack/")
    assert len(asked) == len(FILES)


def test_a_bucket_that_is_gone_is_one_line(context: Any) -> None:
    context.bucket = SimpleNamespace(name="gone")
    for ask in (
        check_bucket,
        lambda given: remove(given, "stack/"),
        lambda given: differences(given, "stack/", SUMS, 10, whole=True),
    ):
        with pytest.raises(
            WorkloadError, match=r"^bucket gone: S3 answers NoSuchBucket \(.*\); see that the stack is up"
        ):
            ask(context)
