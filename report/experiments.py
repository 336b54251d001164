"""The experiments that this report knows: how each is summarized and shown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from report.claims import Claim
from report.page import Page
from report.runs import Manifest, Run
from report.table import Table


@dataclass(frozen=True)
class Experiment:
    summary_type: type
    summarize: Callable[[Run], Any]
    page: Callable[[Manifest, Any, Sequence[Claim]], Page]
    tables: Callable[[Any], list[Table]]


def _without_claims(page: Callable[[Manifest, Any], Page]) -> Callable[[Manifest, Any, Sequence[Claim]], Page]:
    return lambda manifest, summary, _: page(manifest, summary)


# A report shows one of them: the others' modules are not loaded.


def _md_raid() -> Experiment:
    from report.md_raid import schema, summarize, view

    return Experiment(schema.Summary, summarize.summarize, _without_claims(view.page), view.tables)


def _efs_iops() -> Experiment:
    from report.efs_iops import schema, summarize, view

    return Experiment(schema.Summary, summarize.summarize, view.page, view.tables)


def _eip_region() -> Experiment:
    from report.eip_region import schema, summarize, view

    return Experiment(schema.Summary, summarize.summarize, _without_claims(view.page), view.tables)


def _iscsi_tunnel() -> Experiment:
    from report.iscsi_tunnel import schema, summarize, tables, view

    return Experiment(schema.Summary, summarize.summarize, _without_claims(view.page), tables.all_tables)


def _encrypted_backup() -> Experiment:
    from report.encrypted_backup import schema, summarize, view

    return Experiment(schema.Summary, summarize.summarize, _without_claims(view.page), view.tables)


def _s3_throttle() -> Experiment:
    from report.s3_throttle import schema, summarize, view

    return Experiment(schema.Summary, summarize.summarize, _without_claims(view.page), view.tables)


EXPERIMENTS: dict[str, Callable[[], Experiment]] = {
    "md-raid": _md_raid,
    "efs-iops": _efs_iops,
    "eip-region": _eip_region,
    "iscsi-tunnel": _iscsi_tunnel,
    "encrypted-backup": _encrypted_backup,
    "s3-throttle": _s3_throttle,
}
