"""The renewal of aws_offers/data.json.

EC2 answers from moto's tables, which were recorded from AWS. The price list's answers are made after the documented
shape of GetProducts (botocore's service model, which checks them, and the AWS Price List documentation); they were not
recorded from an account.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import boto3
import botocore.awsrequest
import botocore.exceptions
import botocore.validate
import pytest
from botocore.compat import HTTPHeaders

from aws_offers import DATA_FILE, renew
from aws_offers.renew import Clients, RenewalError, product, renewed, to_text

TODAY = date(2026, 12, 1)
PREFIXES = {"us-east-1": "", "eu-west-1": "EU-", "eu-central-1": "EUC1-"}
KEYS: dict[str, Any] = {"aws_access_key_id": "rehearsal", "aws_secret_access_key": "rehearsal"}
Price = tuple[str, str, str]
"""Region, kind and item, as data.json has them."""


def committed() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(DATA_FILE.read_text())
    return found


def listed(data: Mapping[str, Any]) -> dict[Price, float]:
    """Every price of the data."""
    return {
        (region, kind, item): usd
        for region, kinds in data["prices"]["usd"].items()
        for kind, items in kinds.items()
        for item, usd in items.items()
    }


class PriceList:
    """A client of the price list. `tiers` are the prices of each product, the first one for the first units."""

    def __init__(self, tiers: Mapping[Price, list[float]], *, unit: str | None = None, ipv4: float = 0.005) -> None:
        self.entries = [
            self._entry(region, product(kind, item), usd, unit) for (region, kind, item), usd in tiers.items()
        ]
        self.entries += [self._entry(region, renew._PUBLIC_IPV4, [ipv4], None) for region in PREFIXES]
        self.client = boto3.client("pricing", "us-east-1", **KEYS)
        self.client.meta.events.register("before-parameter-build.pricing.GetProducts", self._keep)
        self.client.meta.events.register("before-call.pricing.GetProducts", self._answer)
        self._asked: dict[str, Any] = {}

    @staticmethod
    def _entry(region: str, wanted: renew.Product, tiers: list[float], unit: str | None) -> dict[str, Any]:
        dimensions = {
            f"SKU.JRTCKXETXF.{number}": {
                "unit": unit or wanted.units[0],
                "beginRange": str(number),
                "endRange": "Inf",
                "rateCode": f"SKU.JRTCKXETXF.{number}",
                "appliesTo": [],
                "pricePerUnit": {"USD": f"{usd:.10f}"},
            }
            for number, usd in enumerate(tiers)
        }
        attributes = {"regionCode": region, "usagetype": f"{PREFIXES[region]}{wanted.usage}", **wanted.filters}
        return {
            "product": {"sku": "SKU", "productFamily": "of no interest", "attributes": attributes},
            "serviceCode": wanted.service,
            "terms": {"OnDemand": {"SKU.JRTCKXETXF": {"sku": "SKU", "priceDimensions": dimensions}}},
            "version": "20261201000000",
        }

    def _keep(self, params: dict[str, Any], **_: Any) -> None:
        self._asked = params

    def _answer(self, model: Any, **_: Any) -> tuple[botocore.awsrequest.AWSResponse, dict[str, Any]]:
        """Products that match the filters, one a page, with a product of another usage type first."""
        filters = {each["Field"]: each["Value"] for each in self._asked["Filters"]}
        assert {each["Type"] for each in self._asked["Filters"]} == {"TERM_MATCH"}
        found = [
            entry
            for entry in self.entries
            if entry["serviceCode"] == self._asked["ServiceCode"]
            and filters.items() <= entry["product"]["attributes"].items()
        ]
        page = int(self._asked.get("NextToken", "0"))
        answer: dict[str, Any] = {
            "FormatVersion": "aws_v1",
            "PriceList": [json.dumps(each) for each in found[page : page + 1]],
        }
        if page + 1 < len(found):
            answer["NextToken"] = str(page + 1)
        return answered(model, answer)


def describe_regions(model: Any, **_: Any) -> tuple[botocore.awsrequest.AWSResponse, dict[str, Any]]:
    """The committed regions, of which the account has opted in to all but one. (moto makes its own answer up.)"""
    regions = committed()["regions"]
    status = dict.fromkeys(regions["enabled_by_default"], "opt-in-not-required")
    status |= dict.fromkeys(regions["opt_in"], "opted-in") | {"me-south-1": "not-opted-in"}
    return answered(
        model,
        {
            "Regions": [
                {"RegionName": name, "OptInStatus": opt, "Endpoint": f"ec2.{name}.amazonaws.com"}
                for name, opt in status.items()
            ]
        },
    )


def answered(model: Any, answer: dict[str, Any]) -> tuple[botocore.awsrequest.AWSResponse, dict[str, Any]]:
    """What makes botocore take the answer for the service's, once it has the documented shape."""
    botocore.validate.validate_parameters(answer, model.output_shape)
    response = botocore.awsrequest.AWSResponse("https://aws.example.org", 200, HTTPHeaders(), None)
    return response, {**answer, "ResponseMetadata": {"HTTPStatusCode": 200}}


@pytest.fixture
def clients(moto_endpoint: str) -> Callable[[PriceList], Clients]:
    def of(prices: PriceList) -> Clients:
        def client(service: str, region: str) -> Any:
            if service == "pricing":
                return prices.client
            ec2 = boto3.client("ec2", region, endpoint_url=moto_endpoint, **KEYS)
            answer: Any = describe_regions  # the stubs know no handlers that answer
            ec2.meta.events.register("before-call.ec2.DescribeRegions", answer)
            return ec2

        return client

    return of


def tiers_of(data: Mapping[str, Any]) -> dict[Price, list[float]]:
    """What the price list would have if every price were as it stands in the data."""
    return {price: [usd] for price, usd in listed(data).items()}


def test_the_file_is_written_as_a_renewal_writes_it() -> None:
    assert to_text(committed()) == DATA_FILE.read_text()


def test_nothing_but_dates_and_sources_changes_where_aws_says_the_same(clients: Callable[[PriceList], Clients]) -> None:
    """So every instance type and every zone of the committed file is what was recorded."""
    before = committed()
    after, notes = renewed(before, clients(PriceList(tiers_of(before))), TODAY)
    assert {section: after[section]["as_of"] for section in ("regions", "instance_types", "zones", "prices")} == {
        "regions": "2026-12-01",
        "instance_types": "2026-12-01",
        "zones": "2026-12-01",
        "prices": "2026-12-01",
    }
    for section in ("regions", "instance_types", "zones", "prices"):
        assert after[section].pop("source") != before[section].pop("source")
        assert after[section].pop("as_of") != before[section].pop("as_of")
    assert after == before
    assert notes == [
        "this account has not opted in to me-south-1: the zones there are the old ones",
        *(
            f"the price list has no instance_hour {name} in {region}: it stays unknown"
            for region in ("us-east-1", "eu-west-1", "eu-central-1")
            for name in ("c5.18xlarge", "c5n.18xlarge")
        ),
    ]


def test_a_changed_price_and_a_new_one_are_taken(clients: Callable[[PriceList], Clients]) -> None:
    before = committed()
    tiers = tiers_of(before)
    tiers["eu-central-1", "volume_iops_month", "io2"] = [0.08, 0.06, 0.04]
    tiers["us-east-1", "instance_hour", "c5.18xlarge"] = [3.06]
    after, _ = renewed(before, clients(PriceList(tiers, ipv4=0.006)), TODAY)
    old, new = listed(before), listed(after)
    assert {price: usd for price, usd in new.items() if usd != old.get(price)} == {
        ("eu-central-1", "volume_iops_month", "io2"): 0.08,
        ("us-east-1", "instance_hour", "c5.18xlarge"): 3.06,
    }
    assert after["prices"]["public_ipv4_usd_per_hour"] == 0.006


def test_a_price_that_the_list_lacks_stays_and_is_named(clients: Callable[[PriceList], Clients]) -> None:
    before = committed()
    tiers = tiers_of(before)
    del tiers["eu-west-1", "efs_throughput", "elastic_gb_read"]
    after, notes = renewed(before, clients(PriceList(tiers)), TODAY)
    assert listed(after) == listed(before)
    assert "the price list has no efs_throughput elastic_gb_read in eu-west-1: its price is the old one" in notes


def test_a_price_in_another_unit_is_refused(clients: Callable[[PriceList], Clients]) -> None:
    before = committed()
    with pytest.raises(
        RenewalError, match=r"has the unit Quantity for BoxUsage:c4.4xlarge in us-east-1; expected is one"
    ):
        renewed(before, clients(PriceList(tiers_of(before), unit="Quantity")), TODAY)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    path = tmp_path / "data.json"
    path.write_text(DATA_FILE.read_text())
    return path


def test_the_command_prints_what_changed_and_writes_it(
    copy: Path, clients: Callable[[PriceList], Clients], capsys: pytest.CaptureFixture[str]
) -> None:
    before = committed()
    tiers = tiers_of(before)
    tiers["us-east-1", "instance_hour", "m4.xlarge"] = [0.21]
    prices = PriceList(tiers)
    assert renew.main(["--dry-run"], clients(prices), copy) == 0
    assert copy.read_text() == DATA_FILE.read_text()
    shown = capsys.readouterr()
    assert re.search(r"^aws_offers: asking EC2 in \d+ regions for their zones$", shown.err, re.MULTILINE)
    assert re.search(r"^aws_offers: asking the price list for \d+ prices, one by one$", shown.err, re.MULTILINE)
    assert '\n-          "m4.xlarge": 0.2,\n+          "m4.xlarge": 0.21,\n' in shown.out
    assert renew.main([], clients(prices), copy) == 0
    assert capsys.readouterr() == shown
    assert listed(json.loads(copy.read_text())) == listed(before) | {("us-east-1", "instance_hour", "m4.xlarge"): 0.21}
    assert [path.name for path in copy.parent.iterdir()] == ["data.json"]


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (
            botocore.exceptions.NoCredentialsError(),
            "aws_offers: no AWS credentials (Unable to locate credentials); see `aws configure list`\n",
        ),
        (
            botocore.exceptions.ClientError(
                {"Error": {"Code": "AccessDeniedException", "Message": "User: is not\nauthorized"}}, "GetProducts"
            ),
            "aws_offers: the credentials may not call GetProducts (AccessDeniedException); allow ec2:DescribeRegions, "
            "ec2:DescribeInstanceTypes, ec2:DescribeInstanceTypeOfferings and pricing:GetProducts\n",
        ),
        (
            botocore.exceptions.ClientError(
                {"Error": {"Code": "ExpiredToken", "Message": "it has\nexpired"}}, "DescribeRegions"
            ),
            "aws_offers: AWS answers DescribeRegions with ExpiredToken: it has expired; see `aws sts "
            "get-caller-identity`\n",
        ),
        (
            botocore.exceptions.EndpointConnectionError(endpoint_url="https://ec2.us-east-1.amazonaws.com/"),
            'aws_offers: AWS cannot be reached (Could not connect to the endpoint URL: "https://ec2.us-east-1.amazonaws'
            '.com/"); the file is as it was\n',
        ),
    ],
)
def test_a_failure_is_one_line_and_changes_nothing(
    error: Exception, line: str, copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(service: str, region: str) -> Any:
        raise error

    assert renew.main([], fail, copy) == 1
    assert capsys.readouterr() == ("", line)
    assert copy.read_text() == DATA_FILE.read_text()


def test_an_endpoint_without_a_scheme_is_one_line_and_changes_nothing(
    copy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "localhost:4566")
    assert renew.main([], path=copy) == 1
    line = (
        "aws_offers: ec2 cannot be asked (Invalid endpoint: localhost:4566); "
        "see your AWS settings (AWS_ENDPOINT_URL, ~/.aws/config)\n"
    )
    assert capsys.readouterr() == ("", line)
    assert copy.read_text() == DATA_FILE.read_text()


@pytest.mark.parametrize("place", ["full", "a directory"])
def test_where_it_cannot_be_written_it_is_one_line_and_nothing_changes(
    place: str, copy: Path, clients: Callable[[PriceList], Clients], capsys: pytest.CaptureFixture[str]
) -> None:
    new = copy.with_name("data.json.new")
    if place == "full":
        new.symlink_to("/dev/full")
    else:
        new.mkdir()
    prices = PriceList(tiers_of(committed()))
    assert renew.main([], clients(prices), copy) == 1
    said = {"full": "No space left on device", "a directory": "Is a directory"}[place]
    assert capsys.readouterr().err.splitlines()[-1] == f"aws_offers: {copy}: {said}; the file is as it was"
    assert copy.read_text() == DATA_FILE.read_text()
