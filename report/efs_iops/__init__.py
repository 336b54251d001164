"""efs-iops: what an Amazon EFS file system gives in operations and bytes a second, counted in four places at once."""
