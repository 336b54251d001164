"""Reads and deletes the objects of the bucket from this machine, through S3's API."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from workloads.aws import aws_client, one_line
from workloads.errors import WorkloadError
from workloads.s3_throttle.context import Context
from workloads.s3_throttle.uploader.sync import object_name

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client
    from mypy_boto3_s3.type_defs import ErrorTypeDef

CHUNK_BYTES = 1 << 20
AT_ONCE = 4
DELETED_AT_ONCE = 1000  # as many as DeleteObjects takes


def s3_client(context: Context) -> S3Client:
    """Returns a client of the bucket's region."""
    client: S3Client = aws_client(context.inventory.region, "s3")
    return client


def check_bucket(context: Context) -> None:
    """Raises WorkloadError when the bucket is gone, or may not be read."""
    name = context.bucket.name
    with one_line(f"bucket {name}", "S3"):
        s3_client(context).list_objects_v2(Bucket=name, MaxKeys=1)


def differences(
    context: Context, prefix: str, sha256s: Sequence[str], count: int, *, whole: bool
) -> tuple[int, list[str]]:
    """Reads back every object below `prefix`; returns their number, and how they differ from the `count` files that
    were sent, which have these SHA-256 in turn. Unless the sync is `whole`, some may be missing, but not all.
    """
    expected = {f"{prefix}{object_name(number)}": sha256s[number % len(sha256s)] for number in range(count)}
    s3, bucket = s3_client(context), context.bucket.name

    def sha256_of(key: str) -> str:
        digest = hashlib.sha256()
        for chunk in s3.get_object(Bucket=bucket, Key=key)["Body"].iter_chunks(CHUNK_BYTES):
            digest.update(chunk)
        return digest.hexdigest()

    with one_line(f"bucket {bucket}", "S3"):
        found = _keys(s3, bucket, prefix)
        if not found or (whole and len(found) != count):
            return len(found), [f"{len(found)} objects, expected {count if whole else 'some'}"]
        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="objects") as pool:
            return len(found), [
                f"{key} has SHA-256 {sha256}, expected {expected.get(key, 'no such object')}"
                for key, sha256 in zip(found, pool.map(sha256_of, found), strict=True)
                if sha256 != expected.get(key)
            ]


def remove(context: Context, prefix: str) -> int:
    """Deletes the objects below `prefix`; returns their number. Raises WorkloadError in the end for what S3 keeps."""
    if not prefix.strip("/"):
        raise WorkloadError("no prefix to delete below", "this is a fault of the program")
    s3, bucket, deleted = s3_client(context), context.bucket.name, 0
    errors: list[ErrorTypeDef] = []
    with one_line(f"bucket {bucket}", "S3"):
        keys = _keys(s3, bucket, prefix)
        for start in range(0, len(keys), DELETED_AT_ONCE):
            part = keys[start : start + DELETED_AT_ONCE]
            answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": key} for key in part]})
            errors += answer.get("Errors", ())
            deleted += len(answer.get("Deleted", ()))
    if errors:
        kept = f"{errors[0].get('Key')} ({errors[0].get('Code')})"
        raise WorkloadError(
            f"S3 did not delete {len(errors)} of {len(keys)} objects in {bucket}, such as {kept}",
            "see who may delete there; `pulumi destroy` empties the bucket",
        )
    return deleted


def _keys(s3: S3Client, bucket: str, prefix: str) -> list[str]:
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    return [each["Key"] for page in pages for each in page.get("Contents", [])]
