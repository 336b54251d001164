"""efs-iops: operations per second of an EFS file system, by four sources that must agree."""
