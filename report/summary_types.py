"""What each experiment's summary consists of: all that its claims need to be read. Nothing is drawn or derived here."""

from __future__ import annotations

from report.efs_iops.schema import Summary as EfsIops
from report.eip_region.schema import Summary as EipRegion
from report.encrypted_backup.schema import Summary as EncryptedBackup
from report.iscsi_tunnel.schema import Summary as IscsiTunnel
from report.md_raid.schema import Summary as MdRaid
from report.s3_throttle.schema import Summary as S3Throttle

SUMMARY_TYPES: dict[str, type] = {
    "md-raid": MdRaid,
    "efs-iops": EfsIops,
    "iscsi-tunnel": IscsiTunnel,
    "eip-region": EipRegion,
    "encrypted-backup": EncryptedBackup,
    "s3-throttle": S3Throttle,
}
