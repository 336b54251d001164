"""`fab account.reap` and `fab account.cost`: what they show, ask and refuse, against the region's API."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest

from aws_offers import price_usd
from reaper import find
from reaper.plan import Resource
from tests.instances import launch
from tests.lab.conftest import Api, api, api_over_http
from workloads import account, account_reap
from workloads.account import cost, cost_lines
from workloads.account_reap import KnownResources, reap
from workloads.aws import aws_client
from workloads.errors import WorkloadError

__all__ = ["api", "api_over_http"]

TAGS = {"project": "tidemark", "stack": "efs-iops.eu-central-1", "expires-at": "2020-01-01T00:00:00Z"}
DISPOSABLE = TAGS | {"data": "disposable"}
REGIONS = ["eu-central-1", "eu-west-1"]


@pytest.fixture(autouse=True)
def aws(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty account in two regions."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", api.url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    # By the module: pytest does not find one by its name that fabfile.py imports lazily.
    for module in (account, find):
        monkeypatch.setattr(module, "enabled_regions", lambda client_of: REGIONS)


def volume(region: str, tags: dict[str, str]) -> str:
    pairs: Any = [{"Key": key, "Value": value} for key, value in tags.items()]
    made = boto3.client("ec2", region_name=region).create_volume(
        AvailabilityZone=f"{region}a", Size=73, TagSpecifications=[{"ResourceType": "volume", "Tags": pairs}]
    )
    return str(made["VolumeId"])


def volumes() -> list[str]:
    return [
        each["VolumeId"]
        for region in REGIONS
        for each in boto3.client("ec2", region_name=region).describe_volumes()["Volumes"]
    ]


def test_it_shows_what_it_would_delete_and_does_nothing_without_a_yes(capsys: pytest.CaptureFixture[str]) -> None:
    here, there = volume("eu-central-1", DISPOSABLE), volume("eu-west-1", DISPOSABLE)
    asked: list[str] = []
    for answer in ("", "y", "no", "yes please"):

        def ask(question: str, answer: str = answer) -> str:
            asked.append(question)
            return answer

        with pytest.raises(WorkloadError, match=r"^nothing was deleted$"):
            reap(ask=ask)
    assert asked[0].startswith("Delete these 2 resources of efs-iops.eu-central-1 for good?")
    said = capsys.readouterr().out
    assert "123456789012 as arn:aws:sts::" in said
    for region, id in (("eu-central-1", here), ("eu-west-1", there)):
        assert f"delete         {region:<15} efs-iops.eu-central-1      volume {id}  expired " in said
    reap(dry_run=True)
    assert "would delete 2 resources in 2 regions" in capsys.readouterr().out
    assert sorted(volumes()) == sorted([here, there])


def test_a_yes_deletes_it_and_a_second_call_finds_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    volume("eu-central-1", DISPOSABLE)
    theirs = volume("eu-central-1", DISPOSABLE | {"project": "theirs"})
    reap(ask=lambda question: "yes")
    assert volumes() == [theirs]
    assert "deleted 1 resources" in capsys.readouterr().out
    reap(yes=True)
    assert "deleted 0 resources" in capsys.readouterr().out


def test_without_a_terminal_it_asks_for_yes_or_dry_run() -> None:
    made = volume("eu-central-1", DISPOSABLE)
    with pytest.raises(WorkloadError, match="no terminal to ask on; give --yes or --dry-run"):
        reap()
    assert volumes() == [made]


def test_one_region_alone() -> None:
    volume("eu-central-1", DISPOSABLE)
    there = volume("eu-west-1", DISPOSABLE)
    reap(region="eu-central-1", yes=True)
    assert volumes() == [there]


def test_what_is_protected_is_shown_and_stays_until_it_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    first, second = volume("eu-central-1", TAGS), volume("eu-central-1", TAGS)
    reap(yes=True)
    said = capsys.readouterr().out
    assert f"volume {first}  it may hold a backup: --include {first} deletes it" in said
    assert "2 protected resources stay until they are named" in said
    reap(yes=True, include=[first])
    assert volumes() == [second]


def test_a_missing_tag_is_shown_and_the_exit_code_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    made = volume("eu-central-1", {"project": "tidemark", "data": "disposable"})
    with pytest.raises(WorkloadError, match="1 resources are left"):
        reap(yes=True)
    assert f"no stack                   volume {made}  it has no tag stack" in capsys.readouterr().out
    assert volumes() == [made]


def test_a_region_that_does_not_answer_is_named_and_the_rest_goes(capsys: pytest.CaptureFixture[str]) -> None:
    volume("eu-central-1", DISPOSABLE)
    there = volume("eu-west-1", DISPOSABLE)
    clients = find.made_once(aws_client)

    def refuse(**_: Any) -> None:
        from botocore.exceptions import ClientError

        raise ClientError({"Error": {"Code": "UnauthorizedOperation", "Message": "no"}}, "DescribeTags")

    clients("eu-west-1", "ec2").meta.events.register("before-call.ec2.DescribeTags", refuse)
    with pytest.raises(WorkloadError, match="not asked: eu-west-1 EC2; see the reasons above"):
        reap(yes=True, clients=clients)
    assert "eu-west-1 EC2: UnauthorizedOperation (no)" in capsys.readouterr().out
    assert volumes() == [there]


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"region": "mars"}, "--region 'mars' is not the name of a region"),
        ({"stack": "a b"}, "--stack 'a b' is not a stack's name"),
        ({"stack": ""}, "--stack '' is not a stack's name"),
        ({"backend": "file://~"}, "--backend is for --orphans alone"),
        ({"include": ["server-volume-1"]}, "--include 'server-volume-1' is not the id of a volume"),
        ({"include": ["vol-0123456789abcdef0"]}, "--include vol-0123456789abcdef0: there is none here"),
    ],
)
def test_wrong_options_are_refused_before_anything_is_deleted(options: dict[str, Any], error: str) -> None:
    made = volume("eu-central-1", DISPOSABLE)
    with pytest.raises(WorkloadError, match=f"^{error}"):
        reap(yes=True, **options)
    assert volumes() == [made]


def test_orphans_are_looked_up_again_after_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """A person takes a while to answer, and meanwhile an engine writes down what it has made."""
    lost, adopted = volume("eu-central-1", DISPOSABLE), volume("eu-central-1", DISPOSABLE)
    known: set[str] = set()

    def read_states(backend: str | None) -> KnownResources:
        assert backend == "file://somewhere"
        return KnownResources("file://somewhere", {TAGS["stack"]}, set(known))

    monkeypatch.setattr(account_reap, "read_states", read_states)

    def ask(question: str) -> str:
        assert "these 2 resources" in question
        known.add(adopted)
        return "yes"

    reap(orphans=True, backend="file://somewhere", ask=ask)
    assert volumes() == [adopted]
    assert lost not in volumes()


def test_what_an_engine_makes_while_the_account_is_asked_is_no_orphan(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def find_all(*arguments: Any, **options: Any) -> find.Found:
        volume("eu-central-1", DISPOSABLE)
        return find.find_all(*arguments, **options)

    def read_states(_: str | None) -> KnownResources:
        return KnownResources("file://somewhere", {TAGS["stack"]}, set(volumes()))

    monkeypatch.setattr(account, "find_all", find_all)
    monkeypatch.setattr(account_reap, "read_states", read_states)
    reap(orphans=True, dry_run=True)
    assert "would delete 0 resources" in capsys.readouterr().out


def test_the_cost_of_what_runs_has_a_line_each_with_its_stack(capsys: pytest.CaptureFixture[str]) -> None:
    made = volume("eu-central-1", DISPOSABLE)
    volume("eu-central-1", {"project": "theirs"})
    (instance,) = launch(boto3.client("ec2", region_name="eu-west-1"), tags=TAGS)
    cost(None)
    said = capsys.readouterr().out
    lines = [line for line in said.splitlines() if line.startswith("running")]
    of_volume = next(line for line in lines if made in line)
    gp2 = price_usd("eu-central-1", "volume_gib_month", "gp2")
    assert gp2 is not None
    assert f"{73 * gp2 / 730:.4f} $/h" in of_volume
    assert "efs-iops.eu-central-1      eu-central-1    volume" in of_volume
    assert any(instance in line for line in lines)
    assert len(lines) == 3, "the instance's root volume, too"
    assert "prices are unknown" in said, "the table has no m1.small, which is not zero"


def resource(kind: str, hours: float | None, **facts: Any) -> Resource:
    created = None if hours is None else NOW - timedelta(hours=hours)
    return Resource("eu-central-1", kind, f"{kind}-1", TAGS, created_at=created, facts=facts)


NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("found", "per_hour", "so_far"),
    [
        (resource("instance", 2, type="t3.micro", state="running", public_address="192.0.2.1"), 0.017, 0.034),
        (resource("instance", 2, type="t3.micro", state="running", public_address=None), 0.012, 0.024),
        (resource("instance", 2, type="t3.micro", state="stopped", public_address=None), 0.0, 0.0),
        (resource("instance", 2, type="x9.huge", state="running", public_address=None), None, None),
        (resource("volume", 10, type="gp2", gib=73, iops=219), 0.0119, 0.119),
        (resource("volume", 10, type="gp3", gib=73, iops=3000), 0.00952, 0.0952),
        (resource("volume", 730, type="gp3", gib=100, iops=4000), (9.52 + 6) / 730, 15.52),
        (resource("volume", 730, type="io1", gib=100, iops=1000), (14.9 + 78) / 730, 92.9),
        (resource("volume", 1, type="standard", gib=1, iops=None), None, None),
        (resource("elastic-ip", None, address="192.0.2.2", in_use=False), 0.005, None),
        (resource("elastic-ip", None, address="192.0.2.2", in_use=True), 0.0, None),
        (
            resource(
                "file-system", 730, bytes=2**31, one_zone=False, throughput_mode="bursting", provisioned_mib_per_s=None
            ),
            0.72 / 730,
            0.72,
        ),
        (
            resource(
                "file-system", 730, bytes=0, one_zone=True, throughput_mode="provisioned", provisioned_mib_per_s=10
            ),
            72 / 730,
            72.0,
        ),
        (resource("bucket", 1), None, None),
    ],
)
def test_dollars(found: Resource, per_hour: float | None, so_far: float | None) -> None:
    (line,) = cost_lines([found], NOW)
    assert line.usd_per_hour == (None if per_hour is None else pytest.approx(per_hour))
    assert line.usd_so_far == (None if so_far is None else pytest.approx(so_far))


def test_what_is_free_has_no_line() -> None:
    assert cost_lines([resource("vpc", None), resource("role", None), resource("security-group", None)], NOW) == []
