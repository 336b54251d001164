"""Instance types: what validation must know of them, and how a CPU limit becomes CPU options."""

from __future__ import annotations

from dataclasses import dataclass

COMPILED = "2026-11"

ARCHITECTURE = "x86_64"  # of the image (components/image.py)


@dataclass(frozen=True)
class InstanceType:
    """`valid_cores` and `valid_threads` are the CPU options at launch; empty when the type has none."""

    name: str
    cores: int
    threads_per_core: int
    valid_cores: tuple[int, ...]
    valid_threads: tuple[int, ...]
    memory_mib: int
    cluster_placement: bool
    architecture: str = ARCHITECTURE
    nitro: bool = True

    @property
    def cpus(self) -> int:
        """vCPUs as launched without options."""
        return self.cores * self.threads_per_core

    def possible_cpu_limits(self) -> tuple[int, ...]:
        """Numbers of vCPUs that an instance can be launched with, ascending."""
        options = {cores * threads for cores in self.valid_cores for threads in self.valid_threads}
        return tuple(sorted(options | {self.cpus}))


@dataclass(frozen=True)
class CpuOptions:
    """Given at launch; cannot be changed afterwards."""

    cores: int
    threads_per_core: int


def cpu_options(instance_type: InstanceType, limit: int | None) -> CpuOptions | None:
    """The options that leave `limit` vCPUs; None when nothing is to be limited.

    One thread on each core is preferred: the original's kernels were started with the first four CPUs, which
    are cores of their own, since hyper-threads are numbered after all cores. Raises ValueError for a limit
    that is not among possible_cpu_limits.
    """
    if limit is None or limit == instance_type.cpus:
        return None
    for threads in sorted(instance_type.valid_threads):
        if limit % threads == 0 and limit // threads in instance_type.valid_cores:
            return CpuOptions(limit // threads, threads)
    raise ValueError(f"{instance_type.name} cannot be launched with {limit} CPUs")


def _even(up_to: int) -> tuple[int, ...]:
    return tuple(range(2, up_to + 1, 2))


# DescribeInstanceTypes, as recorded in moto 5.2.5.
_BOTH = (1, 2)
KNOWN = {
    instance_type.name: instance_type
    for instance_type in (
        InstanceType("c4.4xlarge", 8, 2, tuple(range(1, 9)), _BOTH, 30_720, True, nitro=False),
        InstanceType("c4.8xlarge", 18, 2, _even(18), _BOTH, 61_440, True, nitro=False),
        InstanceType("c5.9xlarge", 18, 2, _even(18), _BOTH, 73_728, True),
        InstanceType("c5n.9xlarge", 18, 2, _even(18), _BOTH, 98_304, True),
        InstanceType("m4.xlarge", 2, 2, (1, 2), _BOTH, 16_384, True, nitro=False),
        InstanceType("m4.10xlarge", 20, 2, _even(20), _BOTH, 163_840, True, nitro=False),
        InstanceType("m4.16xlarge", 32, 2, _even(32), _BOTH, 262_144, True, nitro=False),
        InstanceType("m5.xlarge", 2, 2, (2,), _BOTH, 16_384, True),
        InstanceType("t3.micro", 1, 2, (1,), _BOTH, 1_024, False),
    )
}
"""The types that can be validated when the account cannot be asked."""
