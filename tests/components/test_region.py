"""What is known of a region: the table, the account's own answer, and the zones that are chosen from them."""

from __future__ import annotations

from typing import Any, ClassVar

import botocore.exceptions
import botocore.parsers
import pytest

from aws_offers import INSTANCE_TYPES
from components import aws_api, region_validation
from components.aws_settings import AwsSettings
from components.config import CommonConfig, PublicKey
from components.region_validation import (
    RegionInfo,
    ZoneRequirement,
    choose_zone,
    choose_zones,
    describe_region,
    region_from_table,
)
from components.settings import SettingError, Settings


def aws_settings(region: str, endpoint: str | None = None) -> AwsSettings:
    endpoints = {"ec2": endpoint} if endpoint else {}
    return AwsSettings(region, endpoints, endpoint is not None, None, "rehearsal", "rehearsal")


def common(aws: AwsSettings, zone: str | None = None) -> CommonConfig:
    key = PublicKey("ssh-ed25519 AAAA", "~/.ssh/id_ed25519")
    return CommonConfig("tidemark", "s", "md-raid", aws, zone, "203.0.113.7/32", key, None, 4, None)


class TestTable:
    def test_opt_in_regions_may_be_enabled(self) -> None:
        assert region_from_table("me-south-1", ["c5.9xlarge"]).enabled is None
        assert region_from_table("eu-west-1", ["c5.9xlarge"]).enabled is True
        assert not region_from_table("eu-west-9", []).exists


class TestAccount:
    def test_answers(self, moto_endpoint: str) -> None:
        found = describe_region(aws_settings("eu-central-1", moto_endpoint), ["c4.8xlarge", "m4.xlarge"])
        assert found.source == "the account's own answer"
        assert found.zones["c4.8xlarge"] == ("eu-central-1a", "eu-central-1b", "eu-central-1c")
        assert found.types == {name: INSTANCE_TYPES[name] for name in ("c4.8xlarge", "m4.xlarge")}
        assert found.note is None

    def test_asks_only(self, moto_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
        asked = []
        make = aws_api.ec2_client

        def watched(*args: Any) -> Any:
            client = make(*args)
            client.meta.events.register("before-call", lambda model, **_: asked.append(model.name))
            return client

        monkeypatch.setattr(region_validation, "ec2_client", watched)
        describe_region(aws_settings("eu-central-1", moto_endpoint), ["c4.8xlarge"])
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
            SettingError, match=r"^no rehearsal region answers at http://127.0.0.1:4566; start it: fab lab.up$"
        ):
            describe_region(aws_settings("eu-central-1", "http://127.0.0.1:4566"), ["c4.8xlarge"])

    @pytest.mark.parametrize("code", ["AuthFailure", "ExpiredToken"])
    def test_refused_credentials_are_a_fault(self, code: str, monkeypatch: pytest.MonkeyPatch) -> None:
        with pytest.raises(SettingError, match=f"AWS refuses the credentials \\({code}\\)"):
            self.after(client_error(code), monkeypatch)

    def test_anything_else_is_told(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with pytest.raises(SettingError, match="AWS answers InternalError: of some kind; try again"):
            self.after(client_error("InternalError"), monkeypatch)

    def after(self, error: Exception, monkeypatch: pytest.MonkeyPatch) -> RegionInfo:
        def fail(*_: Any) -> RegionInfo:
            raise error

        monkeypatch.setattr(region_validation, "_region_from_account", fail)
        return describe_region(aws_settings("eu-central-1"), ["c4.8xlarge"])

    def test_keys_stay_out_of_sight(self) -> None:
        aws = AwsSettings("eu-central-1", {}, False, None, "AKIDEXAMPLE", "hidden", "hidden")
        assert "AKID" not in repr(aws)
        assert "hidden" not in repr(aws)


def client_error(code: str) -> botocore.exceptions.ClientError:
    answer: Any = {"Error": {"Code": code, "Message": "of some\nkind"}}
    return botocore.exceptions.ClientError(answer, "DescribeRegions")


class TestZone:
    types: ClassVar = {"tidemark:storageType": "a.large", "tidemark:clientType": "b.large"}

    def info(self, a: tuple[str, ...], b: tuple[str, ...]) -> RegionInfo:
        zones = {"a.large": a, "b.large": b}
        return RegionInfo("table", "r-1", True, True, zones, {})

    def test_first_that_offers_all(self) -> None:
        settings = Settings({}, "s")
        found = choose_zone(
            settings, common(aws_settings("r")), self.info(("r-1a", "r-1b", "r-1c"), ("r-1c", "r-1b")), self.types
        )
        assert found == "r-1b"
        assert not settings.errors

    def test_none_offers_all(self) -> None:
        settings = Settings({}, "s")
        choose_zone(settings, common(aws_settings("r")), self.info(("r-1a",), ("r-1b", "r-1c")), self.types)
        assert settings.errors == [
            "stacks/Pulumi.s.yaml: tidemark:clientType: no zone of r-1 offers a.large and "
            "b.large, and one "
            "placement group is in one zone; a.large in r-1a, b.large in r-1b r-1c"
        ]

    @pytest.mark.parametrize(("named", "found"), [(None, "r-1a"), ("r-1-bos-1a", "r-1-bos-1a")])
    def test_a_local_zone_only_by_name(self, named: str | None, found: str) -> None:
        settings = Settings({}, "s")
        zones = ("r-1-bos-1a", "r-1a")
        assert choose_zone(settings, common(aws_settings("r"), named), self.info(zones, zones), self.types) == found
        assert not settings.errors


class TestZones:
    key = "tidemark:clientZones"
    types: ClassVar = {"tidemark:clientType": "a.large"}

    def choose(self, count: int, zone: str | None = None, *offers: str) -> tuple[tuple[str, ...], list[str]]:
        settings = Settings({}, "s")
        zones = {"a.large": offers or ("r-1c", "r-1a", "r-1b")}
        found = choose_zones(
            settings,
            common(aws_settings("r-1"), zone),
            RegionInfo("table", "r-1", True, True, zones, {}),
            self.types,
            ZoneRequirement(self.key, count, "EFS"),
        )
        return found, [error.removeprefix("stacks/Pulumi.s.yaml: ") for error in settings.errors]

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
        _, errors = self.choose(1, "r-1-bos-1a", "r-1-bos-1a", "r-1a")
        assert errors == [
            "tidemark:zone: r-1-bos-1a does not offer EFS and a.large (table); choose one of r-1a",
        ]

    def test_too_many(self) -> None:
        _, errors = self.choose(3, None, "r-1a", "r-1b")
        assert errors == [
            "tidemark:clientZones: 3 asked for, and 2 zones of r-1 offer a.large (table); choose 2 at most: r-1a, r-1b"
        ]

    def test_none_at_all(self) -> None:
        _, errors = self.choose(1, None, "r-1-bos-1a")
        assert errors == [
            "tidemark:clientZones: 1 asked for, and 0 zones of r-1 offer a.large (table); choose another type"
        ]


def test_an_endpoint_that_is_none_is_an_error_of_boto3() -> None:
    """botocore raises ValueError, which no look-up expects: AWS_ENDPOINT_URL=localhost:4566 was a traceback of `up`."""
    aws = AwsSettings("eu-central-1", {"ec2": "localhost:4566"}, False, access_key="a", secret_key="b")
    with pytest.raises(botocore.exceptions.BotoCoreError, match="Invalid endpoint: localhost:4566"):
        aws_api.ec2_client(aws, aws_api.make_session(aws), "eu-central-1")
