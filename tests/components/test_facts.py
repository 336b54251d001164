"""What is known of a region, a type, a volume, a price: the tables, and the account's own answer."""

from __future__ import annotations

from typing import Any

import botocore.exceptions
import botocore.parsers
import pytest

from aws_offers import INSTANCE_TYPES as KNOWN
from aws_offers import CpuOptions, InstanceType
from components import facts
from components.aws_settings import AwsSettings
from components.config import CommonConfig
from components.efs_offers import FileSystemDemand
from components.facts import FactsError, RegionFacts, from_tables, look_up
from components.prices import VolumeDemand, estimate
from components.public_key import PublicKey
from components.settings import Settings
from components.storage_server import baseline_iops
from components.validation import Demand, choose_zone, choose_zones


def aws_settings(region: str, endpoint: str | None = None) -> AwsSettings:
    endpoints = {"ec2": endpoint} if endpoint else {}
    return AwsSettings(region, endpoints, endpoint is not None, None, "rehearsal", "rehearsal")


def common(aws: AwsSettings, zone: str | None = None) -> CommonConfig:
    key = PublicKey("ssh-ed25519 AAAA", "~/.ssh/id_ed25519")
    return CommonConfig("tidemark", "s", "md-raid", aws, zone, "203.0.113.7/32", key, None, 4, None)


class TestTables:
    def test_opt_in_regions_may_be_enabled(self) -> None:
        assert from_tables("me-south-1", ["c5.9xlarge"]).enabled is None
        assert from_tables("eu-west-1", ["c5.9xlarge"]).enabled is True
        assert not from_tables("eu-west-9", []).exists


class TestAccount:
    def test_answers(self, moto_endpoint: str) -> None:
        found = look_up(aws_settings("eu-central-1", moto_endpoint), ["c4.8xlarge", "m4.xlarge"])
        assert found.source == "the account's own answer"
        assert found.zones["c4.8xlarge"] == ("eu-central-1a", "eu-central-1b", "eu-central-1c")
        assert found.types == {name: KNOWN[name] for name in ("c4.8xlarge", "m4.xlarge")}
        assert found.note is None

    def test_asks_only(self, moto_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
        asked = []
        make = facts.ec2_client

        def watched(*args: Any) -> Any:
            client = make(*args)
            client.meta.events.register("before-call", lambda model, **_: asked.append(model.name))
            return client

        monkeypatch.setattr(facts, "ec2_client", watched)
        look_up(aws_settings("eu-central-1", moto_endpoint), ["c4.8xlarge"])
        assert asked
        assert all(name.startswith("Describe") for name in asked)

    @pytest.mark.parametrize("code", ["UnauthorizedOperation", "AccessDenied"])
    def test_without_permission_the_table_is_used_and_it_says_so(
        self, code: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        found = self.after(client_error(code), monkeypatch)
        assert found.source == "table of 2026-11"
        assert found.note == f"the credentials may not ask for this ({code}): the table of 2026-11 is used"

    def test_without_a_network_the_table_is_used_and_it_says_so(self, monkeypatch: pytest.MonkeyPatch) -> None:
        error = botocore.exceptions.EndpointConnectionError(endpoint_url="https://ec2.example.org")
        found = self.after(error, monkeypatch)
        assert found.source == "table of 2026-11"
        assert found.note is not None
        assert found.note.startswith("AWS cannot be asked (Could not connect to the endpoint URL")

    PAGE = botocore.parsers.ResponseParserError("Unable to parse response:\n<!doctype html>")

    def test_a_page_of_another_server_is_no_answer(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A proxy's, or whatever else listens there; boto3's error is none of botocore.exceptions."""
        found = self.after(self.PAGE, monkeypatch)
        assert found.note == (
            "AWS cannot be asked (what answers is no endpoint of AWS): region and types are checked by the table of "
            "2026-11"
        )
        with pytest.raises(
            FactsError, match=r"^no rehearsal region answers at http://127.0.0.1:4566; start it: fab lab.up$"
        ):
            look_up(aws_settings("eu-central-1", "http://127.0.0.1:4566"), ["c4.8xlarge"])

    @pytest.mark.parametrize("code", ["AuthFailure", "ExpiredToken"])
    def test_refused_credentials_are_a_fault(self, code: str, monkeypatch: pytest.MonkeyPatch) -> None:
        with pytest.raises(FactsError, match=f"AWS refuses the credentials \\({code}\\)"):
            self.after(client_error(code), monkeypatch)

    def test_anything_else_is_told(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with pytest.raises(FactsError, match="AWS answers InternalError: of some kind; try again"):
            self.after(client_error("InternalError"), monkeypatch)

    def after(self, error: Exception, monkeypatch: pytest.MonkeyPatch) -> RegionFacts:
        def fail(*_: Any) -> RegionFacts:
            raise error

        monkeypatch.setattr(facts, "_from_account", fail)
        return look_up(aws_settings("eu-central-1"), ["c4.8xlarge"])

    def test_keys_stay_out_of_sight(self) -> None:
        aws = AwsSettings("eu-central-1", {}, False, None, "AKIDEXAMPLE", "hidden", "hidden")
        assert "AKID" not in repr(aws)
        assert "hidden" not in repr(aws)


def client_error(code: str) -> botocore.exceptions.ClientError:
    answer: Any = {"Error": {"Code": code, "Message": "of some\nkind"}}
    return botocore.exceptions.ClientError(answer, "DescribeRegions")


class TestZone:
    demand = Demand({"tidemark:storageType": "a.large", "tidemark:clientType": "b.large"})

    def facts(self, a: tuple[str, ...], b: tuple[str, ...]) -> RegionFacts:
        zones = {"a.large": a, "b.large": b}
        return RegionFacts("table", "r-1", True, True, zones, {})

    def test_first_that_offers_all(self) -> None:
        settings = Settings({}, "s")
        found = choose_zone(
            settings, common(aws_settings("r")), self.facts(("r-1a", "r-1b", "r-1c"), ("r-1c", "r-1b")), self.demand
        )
        assert found == "r-1b"
        assert not settings.problems

    def test_none_offers_all(self) -> None:
        settings = Settings({}, "s")
        choose_zone(settings, common(aws_settings("r")), self.facts(("r-1a",), ("r-1b", "r-1c")), self.demand)
        assert settings.problems == [
            "stacks/Pulumi.s.yaml: tidemark:clientType: no zone of r-1 offers a.large and "
            "b.large, and one "
            "placement group is in one zone; a.large in r-1a, b.large in r-1b r-1c"
        ]

    @pytest.mark.parametrize(("named", "found"), [(None, "r-1a"), ("r-1-bos-1a", "r-1-bos-1a")])
    def test_a_local_zone_only_by_name(self, named: str | None, found: str) -> None:
        settings = Settings({}, "s")
        zones = ("r-1-bos-1a", "r-1a")
        assert choose_zone(settings, common(aws_settings("r"), named), self.facts(zones, zones), self.demand) == found
        assert not settings.problems


class TestZones:
    key = "tidemark:clientZones"
    demand = Demand({"tidemark:clientType": "a.large"})

    def choose(self, count: int, zone: str | None = None, *offers: str) -> tuple[tuple[str, ...], list[str]]:
        settings = Settings({}, "s")
        zones = {"a.large": offers or ("r-1c", "r-1a", "r-1b")}
        found = choose_zones(
            settings,
            common(aws_settings("r-1"), zone),
            RegionFacts("table", "r-1", True, True, zones, {}),
            self.demand,
            (self.key, count),
            besides="EFS",
        )
        return found, [problem.removeprefix("stacks/Pulumi.s.yaml: ") for problem in settings.problems]

    @pytest.mark.parametrize(
        ("count", "zone", "zones"),
        [
            (1, None, ("r-1a",)),
            (2, None, ("r-1a", "r-1b")),
            (1, "r-1b", ("r-1b",)),
            (3, "r-1b", ("r-1b", "r-1a", "r-1c")),
        ],
    )
    def test_the_named_one_first(self, count: int, zone: str | None, zones: tuple[str, ...]) -> None:
        assert self.choose(count, zone) == (zones, [])

    def test_local_zones_have_no_efs(self) -> None:
        assert self.choose(1, None, "r-1-bos-1a", "r-1a") == (("r-1a",), [])
        _, problems = self.choose(1, "r-1-bos-1a", "r-1-bos-1a", "r-1a")
        assert problems == [
            "tidemark:zone: r-1-bos-1a does not offer EFS and a.large (table); choose one of r-1a",
        ]

    def test_too_many(self) -> None:
        _, problems = self.choose(3, None, "r-1a", "r-1b")
        assert problems == [
            "tidemark:clientZones: 3 asked for, and 2 zones of r-1 offer a.large (table); choose 2 at most: r-1a, r-1b"
        ]

    def test_none_at_all(self) -> None:
        _, problems = self.choose(1, None, "r-1-bos-1a")
        assert problems == [
            "tidemark:clientZones: 1 asked for, and 0 zones of r-1 offer a.large (table); choose another type"
        ]


class TestCpuOptions:
    def test_cores_of_their_own_first(self) -> None:
        assert KNOWN["c4.8xlarge"].cpu_options(4) == CpuOptions(4, 1)
        assert KNOWN["c4.8xlarge"].cpu_options(20) == CpuOptions(10, 2)
        assert KNOWN["m5.xlarge"].cpu_options(2) == CpuOptions(2, 1)

    def test_nothing_to_limit(self) -> None:
        assert KNOWN["m4.xlarge"].cpu_options(4) is None
        assert KNOWN["c4.8xlarge"].cpu_options(None) is None

    @pytest.mark.parametrize("name", sorted(KNOWN))
    def test_each_possible_limit_has_options_that_give_it(self, name: str) -> None:
        kind = KNOWN[name]
        for limit in kind.possible_cpu_limits():
            options = kind.cpu_options(limit)
            assert options is None or options.cores * options.threads_per_core == limit

    def test_impossible(self) -> None:
        with pytest.raises(ValueError, match="cannot be launched with 3 CPUs"):
            KNOWN["c4.8xlarge"].cpu_options(3)

    def test_type_without_options(self) -> None:
        kind = InstanceType("x.large", 2, 1, (), (), 4096, True)
        assert kind.possible_cpu_limits() == (2,)


class TestPrices:
    def test_published_setup(self) -> None:
        cost = estimate("eu-central-1", {"c4.8xlarge": 4}, (VolumeDemand(15, "gp2", 50),))
        expected = 4 * (1.817 + 0.005) + 15 * 50 * 0.119 / 730
        assert cost.usd_per_hour == pytest.approx(expected)
        assert cost.unknown == ()

    def test_iops_above_what_is_free(self) -> None:
        free = estimate("us-east-1", {}, (VolumeDemand(1, "gp3", 100, 3000),))
        more = estimate("us-east-1", {}, (VolumeDemand(1, "gp3", 100, 4000),))
        assert free.usd_per_hour == pytest.approx(100 * 0.08 / 730)
        assert more.usd_per_hour == pytest.approx((100 * 0.08 + 1000 * 0.005) / 730)
        io1 = estimate("us-east-1", {}, (VolumeDemand(2, "io1", 10, 500),))
        assert io1.usd_per_hour == pytest.approx(2 * (10 * 0.125 + 500 * 0.065) / 730)

    def file_system(self, mode: str, mib_per_s: int | None = None, availability: str = "regional") -> FileSystemDemand:
        return FileSystemDemand(mode, mib_per_s, "generalPurpose", availability, 1)

    def test_provisioned_throughput_is_paid_by_the_hour(self) -> None:
        cost = estimate("us-east-1", {}, (), self.file_system("provisioned", 100))
        assert cost.usd_per_hour == pytest.approx(100 * 6.00 / 730)
        assert cost.besides == ("$0.30 a GiB stored for a month",)

    def test_elastic_throughput_is_paid_by_what_is_moved(self) -> None:
        cost = estimate("eu-west-1", {}, (), self.file_system("elastic", None, "one-zone"))
        assert cost.usd_per_hour == 0
        assert cost.besides == (
            "$0.03 a GB read, $0.07 a GB written (32 KiB an operation at least)",
            "$0.18 a GiB stored for a month",
        )

    def test_what_is_moved_and_stored_is_in_the_line(self) -> None:
        line = estimate("us-east-1", {"m4.xlarge": 2}, (), self.file_system("elastic")).line(4, rehearsal=False)
        assert line == (
            "cost: $0.41 an hour in us-east-1, $1.64 until its hosts end themselves after 4 h (prices of 2025-06, "
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
        cost = estimate("us-west-2", {}, (), self.file_system(mode, mib_per_s))
        assert cost.usd_per_hour is None
        assert cost.unknown == unknown
        assert "$" not in cost.line(4, rehearsal=False)

    def test_unknown_is_never_zero(self) -> None:
        cost = estimate("us-east-1", {"c4.8xlarge": 1, "x9.large": 1}, (VolumeDemand(1, "gp9", 1),))
        assert cost.usd_per_hour is None
        assert cost.unknown == ("x9.large", "gp9 volumes")
        assert cost.line(4, rehearsal=False) == (
            "cost: unknown: the price table of 2025-06 has no x9.large, gp9 volumes in us-east-1"
        )


@pytest.mark.parametrize(
    ("volume_type", "size_gib", "asked", "iops"),
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
def test_promised_iops(volume_type: str, size_gib: int, asked: int | None, iops: int | None) -> None:
    assert baseline_iops(volume_type, size_gib, asked) == iops
