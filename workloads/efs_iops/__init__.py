"""efs-iops: operations and bytes per second of Amazon EFS, counted in four places at once."""
