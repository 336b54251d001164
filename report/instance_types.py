"""What AWS documents as the line rates of an instance type; only types with a fixed rate, not "up to".

Sources: https://aws.amazon.com/ec2/instance-types/ (network) and
https://docs.aws.amazon.com/ebs/latest/userguide/ebs-optimized.html (EBS).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class LineRates:
    network_bytes_per_s: float
    ebs_bytes_per_s: float


def _rates(network_gbit_per_s: float, ebs_mbit_per_s: float) -> LineRates:
    return LineRates(network_gbit_per_s * 1e9 / 8, ebs_mbit_per_s * 1e6 / 8)


LINE_RATES = {
    "c4.8xlarge": _rates(10, 4_000),
    "c5.18xlarge": _rates(25, 19_000),
    "c5n.18xlarge": _rates(100, 19_000),
}
