"""The experiments that are declared, by name. A new one is a module here and a line in EXPERIMENTS."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

import pulumi

from components.checked_stack import Checked
from components.experiments import efs_iops, eip_region, encrypted_backup, iscsi_tunnel, md_raid, s3_throttle
from components.settings import Settings
from components.tunnel import Tunnel

Config = TypeVar("Config")


@dataclass(frozen=True)
class Plan:
    """A validated stack. `lines` is for the person before anything is created; `declare` creates, and gives
    the stack's outputs.
    """

    lines: tuple[str, ...]
    declare: Callable[[], Mapping[str, pulumi.Input[object]]]


class Declared(Protocol):
    """What an experiment's component has for the stack to put out."""

    stack_outputs: Mapping[str, pulumi.Input[object]]


Experiment = Callable[[Settings, str, Path], Plan]


def _experiment(
    name: str,
    check: Callable[[Settings, str, Path], Checked[Config]],
    component: Callable[[str, Checked[Config]], Declared],
) -> Experiment:
    """A stack that was found good by `check` is declared by its component, called `name`."""

    def plan(settings: Settings, project: str, directory: Path) -> Plan:
        checked = check(settings, project, directory)
        return Plan(checked.lines, lambda: component(name, checked).stack_outputs)

    return plan


EXPERIMENTS: dict[str, Experiment] = {
    md_raid.NAME: _experiment(md_raid.NAME, md_raid.check, md_raid.MdRaid),
    efs_iops.NAME: _experiment(efs_iops.NAME, efs_iops.check, efs_iops.EfsIops),
    iscsi_tunnel.NAME: _experiment(iscsi_tunnel.NAME, iscsi_tunnel.check, Tunnel),
    eip_region.NAME: _experiment(eip_region.NAME, eip_region.check, eip_region.EipRegion),
    encrypted_backup.NAME: _experiment(encrypted_backup.NAME, encrypted_backup.check, Tunnel),
    s3_throttle.NAME: _experiment(s3_throttle.NAME, s3_throttle.check, s3_throttle.S3Throttle),
}
