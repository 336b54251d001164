"""The types of S3 as calls to its API. A bucket's id is its name; what belongs to a bucket has that id, too."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from lab.provider.resource_type import ResourceType, Values, given, rollback_on_failure, tag_list

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

UNNAMED_REGION = "us-east-1"  # CreateBucket takes every region's name but this one's
_DELETED_AT_ONCE = 1000  # DeleteObjects


def retag(s3: S3Client, resource_id: str, wanted: list[Any], gone: list[str]) -> None:
    """Deletes and sets tags: S3 has one call, which sets all."""
    replaced = {*gone, *(tag["Key"] for tag in wanted)}
    kept: list[Any] = [tag for tag in s3.get_bucket_tagging(Bucket=resource_id)["TagSet"] if tag["Key"] not in replaced]
    s3.put_bucket_tagging(Bucket=resource_id, Tagging={"TagSet": [*kept, *wanted]})


def _create_bucket(s3: S3Client, inputs: Values) -> tuple[str, Values]:
    name, region = inputs["bucket"], s3.meta.region_name
    where: Any = {} if region == UNNAMED_REGION else {"CreateBucketConfiguration": {"LocationConstraint": region}}
    s3.create_bucket(Bucket=name, **where)
    with rollback_on_failure(lambda: s3.delete_bucket(Bucket=name)):
        if tags := tag_list(inputs):
            s3.put_bucket_tagging(Bucket=name, Tagging={"TagSet": tags})
    return name, {"arn": f"arn:aws:s3:::{name}"}


def _delete_bucket(s3: S3Client, name: str, outputs: Values) -> None:
    if outputs.get("forceDestroy"):
        empty(s3, name)
    s3.delete_bucket(Bucket=name)


def empty(s3: S3Client, bucket: str) -> None:
    """Deletes every object of a bucket, and every upload that was begun."""
    for upload in s3.list_multipart_uploads(Bucket=bucket).get("Uploads", []):
        s3.abort_multipart_upload(Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"])
    while found := s3.list_objects_v2(Bucket=bucket, MaxKeys=_DELETED_AT_ONCE).get("Contents", []):
        s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": each["Key"]} for each in found], "Quiet": True})


def _create_public_access_block(s3: S3Client, inputs: Values) -> tuple[str, Values]:
    # The API takes a switch that is not given for off.
    switches = given(inputs, "blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")
    s3.put_public_access_block(Bucket=inputs["bucket"], PublicAccessBlockConfiguration=switches)
    return inputs["bucket"], {}


def _create_encryption(s3: S3Client, inputs: Values) -> tuple[str, Values]:
    rules: list[Any] = [
        {
            "ApplyServerSideEncryptionByDefault": {
                "SSEAlgorithm": each["applyServerSideEncryptionByDefault"]["sseAlgorithm"]
            }
        }
        for each in inputs["rules"]
    ]
    s3.put_bucket_encryption(Bucket=inputs["bucket"], ServerSideEncryptionConfiguration={"Rules": rules})
    return inputs["bucket"], {}


def _create_policy(s3: S3Client, inputs: Values) -> tuple[str, Values]:
    s3.put_bucket_policy(Bucket=inputs["bucket"], Policy=inputs["policy"])
    return inputs["bucket"], {}


def _part(create: Callable[[S3Client, Values], tuple[str, Values]], name: str) -> ResourceType[S3Client]:
    """A type of what a bucket has one of, and the calls delete_ and get_ know by that name."""
    return ResourceType(
        create,
        lambda s3, id_, _: getattr(s3, f"delete_{name}")(Bucket=id_),
        lambda s3, id_: bool(getattr(s3, f"get_{name}")(Bucket=id_)),
    )


RESOURCE_TYPES: Mapping[str, ResourceType[S3Client]] = {
    "aws:s3/bucket:Bucket": ResourceType(
        _create_bucket,
        _delete_bucket,
        lambda s3, id_: any(bucket["Name"] == id_ for bucket in s3.list_buckets()["Buckets"]),
        computed=("arn",),
        name_input="bucket",
    ),
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": _part(_create_public_access_block, "public_access_block"),
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": _part(
        _create_encryption, "bucket_encryption"
    ),
    "aws:s3/bucketPolicy:BucketPolicy": _part(_create_policy, "bucket_policy"),
}
