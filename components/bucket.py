"""A bucket of the stack's own, and the role with which its hosts use it."""

from __future__ import annotations

import re
from typing import TypedDict

import pulumi
import pulumi_aws as aws

from components.policy import assumed_by, policy_document
from components.tags import DISPOSABLE_DATA, Tags, child_options

# A bucket's name has 63 characters at most, of a-z, 0-9 and - (docs.aws.amazon.com/AmazonS3/latest/userguide/
# bucketnamingrules.html; dots would break TLS by name); a role's has 64 (CreateRole, RoleName), "-role" among them.
# Pulumi adds a hyphen and seven of its own to each.
_LONGEST_NAME = 51


def bucket_name(project: str, stack: str) -> str:
    """Returns the name of bucket and role without the engine's suffix: `tidemark-s3-throttle-eu-central-1`."""
    name = re.sub(r"[^a-z0-9]+", "-", f"{project}-{stack}".lower()).strip("-")
    return name[:_LONGEST_NAME].rstrip("-")


class BucketArgs(TypedDict):
    """`name` is the name in AWS of bucket and role, without the engine's suffix (`bucket_name`). `tls_only` denies
    plain HTTP: on AWS always, in a rehearsal never, since its endpoint has no TLS.
    """

    name: str
    tls_only: bool
    tags: Tags


class StackBucket(pulumi.ComponentResource):
    """A private, encrypted bucket without versions, and an instance profile whose role may only upload to it.

    `destroy` empties it first (`force_destroy`). That is safe: its policy denies PutObject to everybody but the stack's
    role, even to the account's administrators, and the stack never uses an existing bucket.
    """

    bucket: aws.s3.Bucket
    instance_profile: aws.iam.InstanceProfile
    host_dependencies: tuple[pulumi.Resource, ...]
    """What a host with the role depends on, though it does not refer to it."""

    def __init__(self, name: str, args: BucketArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("tidemark:storage:StackBucket", name, {"tls_only": args["tls_only"]}, opts)
        tags = args["tags"]
        below = pulumi.ResourceOptions(parent=self)
        self.bucket = aws.s3.Bucket(
            args["name"],
            force_destroy=True,
            tags={**tags.named(args["name"]), **DISPOSABLE_DATA},
            opts=child_options(self),
        )
        aws.s3.BucketServerSideEncryptionConfiguration(
            f"{name}-encryption",
            bucket=self.bucket.id,
            rules=[
                aws.s3.BucketServerSideEncryptionConfigurationRuleArgs(
                    apply_server_side_encryption_by_default=aws.s3.BucketServerSideEncryptionConfigurationRuleApplyServerSideEncryptionByDefaultArgs(
                        sse_algorithm="AES256"
                    )
                )
            ],
            opts=below,
        )
        closed = aws.s3.BucketPublicAccessBlock(
            f"{name}-public-access-block",
            bucket=self.bucket.id,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
            opts=below,
        )
        role = aws.iam.Role(
            f"{args['name']}-role",
            assume_role_policy=assumed_by("ec2.amazonaws.com"),
            description=f"Hosts of {tags.project} {tags.stack}: fill the stack's bucket",
            tags=tags.named(f"{args['name']}-role"),
            opts=child_options(self),
        )
        allowed = aws.iam.RolePolicy(
            f"{name}-role-policy", role=role.name, policy=self.bucket.arn.apply(_sync_policy), opts=below
        )
        aws.s3.BucketPolicy(
            f"{name}-policy",
            bucket=self.bucket.id,
            policy=pulumi.Output.all(self.bucket.arn, role.arn).apply(
                lambda known: _bucket_policy(known[0], known[1], tls_only=args["tls_only"])
            ),
            # S3 makes one change of a bucket at a time, and answers a second with OperationAborted.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[closed]),
        )
        self.instance_profile = aws.iam.InstanceProfile(
            f"{args['name']}-profile",
            role=role.name,
            tags=tags.named(f"{args['name']}-profile"),
            opts=child_options(self),
        )
        self.host_dependencies = (allowed,)
        self.register_outputs({"id": self.bucket.id})


def _sync_policy(bucket_arn: str) -> str:
    """Returns the permissions that `aws s3 sync` needs: to list the bucket, and to upload, also in parts."""
    return policy_document(
        {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": bucket_arn},
        {"Effect": "Allow", "Action": ["s3:PutObject", "s3:AbortMultipartUpload"], "Resource": f"{bucket_arn}/*"},
    )


def _bucket_policy(bucket_arn: str, role_arn: str, *, tls_only: bool) -> str:
    """Returns the bucket's denials; the role has what is allowed."""
    # For a role's session, aws:PrincipalArn is the role's ARN (IAM User Guide, global condition keys).
    filled_by_others = {
        "Sid": "FilledByThisStackAlone",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:PutObject",
        "Resource": f"{bucket_arn}/*",
        "Condition": {"StringNotEquals": {"aws:PrincipalArn": role_arn}},
    }
    without_tls = {
        "Sid": "OverTlsAlone",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [bucket_arn, f"{bucket_arn}/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    return policy_document(filled_by_others, *([without_tls] if tls_only else []))
