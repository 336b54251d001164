"""encrypted-backup: snapshots on a volume that its server can't read, and a recovery from a page of paper."""
