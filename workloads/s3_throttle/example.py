"""A machine and a bucket that s3-throttle can use."""

from inventory import Bucket
from workloads.inventory_example import example

EXAMPLE = example("s3-throttle", {"uploader": "uploader"}, bucket=Bucket("my-bucket", None, None))
