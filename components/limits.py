"""The limits of a host: fewer CPUs or less memory than its instance type has."""

from __future__ import annotations

from dataclasses import dataclass

from aws_offers import InstanceType
from components.settings import NONE, Settings

_CPU = "tidemark:cpuLimit"
_MEMORY = "tidemark:memoryLimitMib"


@dataclass(frozen=True)
class HostLimits:
    """What all hosts of a stack are limited to; None for no limit."""

    cpus: int | None
    memory_mib: int | None


def read_limits(
    settings: Settings,
    *,
    default: HostLimits = HostLimits(None, None),  # frozen
    min_memory_mib: int = 256,
    with_cpus: bool = True,
) -> HostLimits:
    """Reads both settings; without `with_cpus`, the experiment has no limit of CPUs.

    Debian 12 with an experiment's tools boots in 256 MiB.
    """
    cpus = settings.integer_or_none(_CPU, 1, 448, default.cpus) if with_cpus else None
    memory_mib = settings.integer_or_none(_MEMORY, min_memory_mib, 1 << 24, default.memory_mib)
    return HostLimits(cpus, memory_mib)


def check_limits(settings: Settings, instance_type: InstanceType, limits: HostLimits) -> None:
    """Checks that the type can be launched with that many CPUs, and has more memory than the limit."""
    possible = instance_type.possible_cpu_limits()
    if settings.is_valid(_CPU) and limits.cpus is not None and limits.cpus not in possible:
        settings.add_error(
            _CPU,
            f"{instance_type.name} cannot be launched with {limits.cpus} CPUs",
            f"possible are {', '.join(map(str, possible))}, or {NONE}",
        )
    if settings.is_valid(_MEMORY) and limits.memory_mib is not None and limits.memory_mib >= instance_type.memory_mib:
        settings.add_error(
            _MEMORY,
            f"{limits.memory_mib} MiB does not limit the {instance_type.memory_mib} MiB of {instance_type.name}",
            f"choose less, or {NONE}",
        )
