"""The experiments that are declared, by name. A new one is a module here and a line in EXPERIMENTS."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pulumi

from components.experiments import efs_iops, eip_region, encrypted_backup, iscsi_tunnel, md_raid, s3_throttle
from components.settings import Settings
from components.tunnel import Tunnel


@dataclass(frozen=True)
class Plan:
    """A validated stack. `lines` is for the person before anything is created; `declare` creates, and gives
    the stack's outputs.
    """

    lines: tuple[str, ...]
    declare: Callable[[], Mapping[str, pulumi.Input[object]]]


def _plan_md_raid(settings: Settings, project: str, directory: Path) -> Plan:
    checked = md_raid.check(settings, project, directory)
    return Plan(checked.lines, lambda: md_raid.MdRaid("md-raid", checked).stack_outputs)


def _plan_efs_iops(settings: Settings, project: str, directory: Path) -> Plan:
    checked = efs_iops.check(settings, project, directory)
    return Plan(checked.lines, lambda: efs_iops.EfsIops("efs-iops", checked).stack_outputs)


def _plan_iscsi_tunnel(settings: Settings, project: str, directory: Path) -> Plan:
    checked = iscsi_tunnel.check(settings, project, directory)
    return Plan(checked.lines, lambda: Tunnel("iscsi-tunnel", checked).stack_outputs)


def _plan_eip_region(settings: Settings, project: str, directory: Path) -> Plan:
    checked = eip_region.check(settings, project, directory)
    return Plan(checked.lines, lambda: eip_region.EipRegion("eip-region", checked).stack_outputs)


def _plan_encrypted_backup(settings: Settings, project: str, directory: Path) -> Plan:
    checked = encrypted_backup.check(settings, project, directory)
    return Plan(checked.lines, lambda: Tunnel("encrypted-backup", checked).stack_outputs)


def _plan_s3_throttle(settings: Settings, project: str, directory: Path) -> Plan:
    checked = s3_throttle.check(settings, project, directory)
    return Plan(checked.lines, lambda: s3_throttle.S3Throttle("s3-throttle", checked).stack_outputs)


EXPERIMENTS: dict[str, Callable[[Settings, str, Path], Plan]] = {
    md_raid.NAME: _plan_md_raid,
    efs_iops.NAME: _plan_efs_iops,
    iscsi_tunnel.NAME: _plan_iscsi_tunnel,
    eip_region.NAME: _plan_eip_region,
    encrypted_backup.NAME: _plan_encrypted_backup,
    s3_throttle.NAME: _plan_s3_throttle,
}
