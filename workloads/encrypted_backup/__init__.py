"""encrypted-backup: snapshots on a volume that its server can't read, and a recovery that is tested."""
