"""What AWS documents as the line rates of an instance type; only types that hold the rate, not "up to" it.

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
    # "High" in the first document; 0.75 is its network card's BaselineBandwidthInGbps in DescribeInstanceTypes, written
    # down from knowledge (`aws ec2 describe-instance-types --instance-types m4.xlarge` shows it).
    "m4.xlarge": _rates(0.75, 750),
    "c5.18xlarge": _rates(25, 19_000),
    "c5n.18xlarge": _rates(100, 19_000),
}
