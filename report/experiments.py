"""The experiments that this report knows: how each is summarized and shown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import report.efs_iops.figures
import report.efs_iops.summarize
import report.efs_iops.view
import report.eip_region.figures
import report.eip_region.summarize
import report.eip_region.view
import report.encrypted_backup.figures
import report.encrypted_backup.summarize
import report.encrypted_backup.view
import report.iscsi_tunnel.figures
import report.iscsi_tunnel.summarize
import report.iscsi_tunnel.tables
import report.iscsi_tunnel.view
import report.md_raid.figures
import report.md_raid.summarize
import report.md_raid.view
import report.s3_throttle.figures
import report.s3_throttle.summarize
import report.s3_throttle.view
from report.claims import Claim
from report.page import Page
from report.runs import Manifest, Run
from report.summary_types import SUMMARY_TYPES
from report.table import Table


@dataclass(frozen=True)
class Experiment:
    summary_type: type
    summarize: Callable[[Run], Any]
    page: Callable[[Manifest, Any, Sequence[Claim]], Page]
    tables: Callable[[Any], list[Table]]


EXPERIMENTS = {
    "md-raid": Experiment(
        summary_type=SUMMARY_TYPES["md-raid"],
        summarize=report.md_raid.summarize.summarize,
        page=lambda manifest, summary, _: report.md_raid.view.page(manifest, summary),
        tables=report.md_raid.view.tables,
    ),
    "efs-iops": Experiment(
        summary_type=SUMMARY_TYPES["efs-iops"],
        summarize=report.efs_iops.summarize.summarize,
        page=report.efs_iops.view.page,
        tables=report.efs_iops.view.tables,
    ),
    "eip-region": Experiment(
        summary_type=SUMMARY_TYPES["eip-region"],
        summarize=report.eip_region.summarize.summarize,
        page=lambda manifest, summary, _: report.eip_region.view.page(manifest, summary),
        tables=report.eip_region.view.tables,
    ),
    "iscsi-tunnel": Experiment(
        summary_type=SUMMARY_TYPES["iscsi-tunnel"],
        summarize=report.iscsi_tunnel.summarize.summarize,
        page=lambda manifest, summary, _: report.iscsi_tunnel.view.page(manifest, summary),
        tables=report.iscsi_tunnel.tables.all_tables,
    ),
    "encrypted-backup": Experiment(
        summary_type=SUMMARY_TYPES["encrypted-backup"],
        summarize=report.encrypted_backup.summarize.summarize,
        page=lambda manifest, summary, _: report.encrypted_backup.view.page(manifest, summary),
        tables=report.encrypted_backup.view.tables,
    ),
    "s3-throttle": Experiment(
        summary_type=SUMMARY_TYPES["s3-throttle"],
        summarize=report.s3_throttle.summarize.summarize,
        page=lambda manifest, summary, _: report.s3_throttle.view.page(manifest, summary),
        tables=report.s3_throttle.view.tables,
    ),
}
