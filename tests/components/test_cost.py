"""What a stack costs an hour, and the IOPS that its volumes have without bursting."""

from __future__ import annotations

import pytest

from components.cost import estimate_cost
from components.file_system_validation import FileSystemSpec
from components.volumes import VolumeSpec


class TestPrices:
    def test_published_setup(self) -> None:
        cost = estimate_cost("eu-central-1", {"c4.8xlarge": 4}, [(15, VolumeSpec("gp2", 50))])
        expected = 4 * (1.817 + 0.005 + 8 * 0.0952 / 730) + 15 * 50 * 0.119 / 730
        assert cost.usd_per_hour == pytest.approx(expected)
        assert cost.unknown == ()

    def test_iops_above_what_is_free(self) -> None:
        free = estimate_cost("us-east-1", {}, [(1, VolumeSpec("gp3", 100, 3000))])
        more = estimate_cost("us-east-1", {}, [(1, VolumeSpec("gp3", 100, 4000))])
        assert free.usd_per_hour == pytest.approx(100 * 0.08 / 730)
        assert more.usd_per_hour == pytest.approx((100 * 0.08 + 1000 * 0.005) / 730)
        io1 = estimate_cost("us-east-1", {}, [(2, VolumeSpec("io1", 10, 500))])
        assert io1.usd_per_hour == pytest.approx(2 * (10 * 0.125 + 500 * 0.065) / 730)

    def file_system(self, mode: str, mib_per_s: int | None = None, availability: str = "regional") -> FileSystemSpec:
        return FileSystemSpec(mode, mib_per_s, "generalPurpose", availability, 1)

    def test_provisioned_throughput_is_paid_by_the_hour(self) -> None:
        cost = estimate_cost("us-east-1", {}, [], self.file_system("provisioned", 100))
        assert cost.usd_per_hour == pytest.approx(100 * 6.00 / 730)
        assert cost.usage_prices == ("$0.30 a GiB stored for a month",)

    def test_elastic_throughput_is_paid_by_what_is_moved(self) -> None:
        cost = estimate_cost("eu-west-1", {}, [], self.file_system("elastic", None, "one-zone"))
        assert cost.usd_per_hour == 0
        assert cost.usage_prices == (
            "$0.03 a GB read, $0.07 a GB written (32 KiB an operation at least)",
            "$0.18 a GiB stored for a month",
        )

    def test_what_is_moved_and_stored_is_in_the_line(self) -> None:
        line = estimate_cost("us-east-1", {"m4.xlarge": 2}, [], self.file_system("elastic")).message(4, rehearsal=False)
        assert line == (
            "cost: $0.41 an hour in us-east-1, $1.65 until its hosts end themselves after 4 h (prices of 2025-06, "
            "without traffic and tax), plus $0.03 a GB read, $0.06 a GB written (32 KiB an operation at least), "
            "$0.30 a GiB stored for a month"
        )

    @pytest.mark.parametrize(
        ("mode", "mib_per_s", "unknown"),
        [
            ("bursting", None, ("EFS storage",)),
            ("elastic", None, ("elastic throughput", "EFS storage")),
            ("provisioned", 1, ("provisioned throughput", "EFS storage")),
        ],
    )
    def test_unknown_price_of_a_file_system_is_never_zero(
        self, mode: str, mib_per_s: int | None, unknown: tuple[str, ...]
    ) -> None:
        cost = estimate_cost("us-west-2", {}, [], self.file_system(mode, mib_per_s))
        assert cost.usd_per_hour is None
        assert cost.unknown == unknown
        assert "$" not in cost.message(4, rehearsal=False)

    def test_unknown_is_never_zero(self) -> None:
        cost = estimate_cost("us-east-1", {"c4.8xlarge": 1, "x9.large": 1}, [(1, VolumeSpec("gp9", 1))])
        assert cost.usd_per_hour is None
        assert cost.unknown == ("x9.large", "gp9 volumes")
        assert cost.message(4, rehearsal=False) == (
            "cost: unknown: the price table of 2025-06 has no x9.large, gp9 volumes in us-east-1"
        )


@pytest.mark.parametrize(
    ("volume_type", "size_gib", "provisioned", "iops"),
    [
        ("gp2", 16, None, 100),
        ("gp2", 50, None, 150),
        ("gp2", 16_384, None, 16_000),
        ("gp3", 50, None, 3_000),
        ("gp3", 50, 5_000, 5_000),
        ("io1", 100, 1_000, 1_000),
        ("st1", 500, None, None),
    ],
)
def test_iops_without_bursting(volume_type: str, size_gib: int, provisioned: int | None, iops: int | None) -> None:
    assert VolumeSpec(volume_type, size_gib, provisioned).baseline_iops == iops
