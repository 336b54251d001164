"""What is deleted, in which order, and why all else stays: pure, without an account."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reaper.kinds import KINDS
from reaper.plan import GLOBAL, ORDER, Plan, Resource, Selection, Status, make_plan, needed_by, ref
from reaper.tags import Owner, is_ours, parse_expiry, read_owner

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
PAST, FUTURE = "2026-11-30T11:59:59Z", "2026-11-30T12:00:01Z"
REGION = "eu-central-1"


def tags(stack: str = "md-raid.eu-central-1", expires_at: str = PAST, **more: str) -> dict[str, str]:
    return {"project": "tidemark", "stack": stack, "expires-at": expires_at, **more}


def resource(
    kind: str, id: str, *needs: str, of: dict[str, str] | None = None, region: str = REGION, **more: object
) -> Resource:
    found = tags() if of is None else of
    return Resource(region, kind, id, found, frozenset(needs), **more)  # type: ignore[arg-type]


def deleted(plan: Plan) -> list[str]:
    return [each.id for each in plan.delete]


def status_of(plan: Plan) -> dict[str, Status]:
    return {kept.resource.id: kept.status for kept in plan.kept}


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-30T12:00:00",
        "2026-11-30T12:00:00+00:00",
        "2026-11-30 12:00:00Z",
        "2026-11-30T12:00:00Z ",
        "2026-11-30T12:00:00Z\n",
        "2026-11-30T12:00:00z",
        "2026-02-30T12:00:00Z",
        "2026-11-30T24:00:00Z",
        "٢٠٢٦-11-30T12:00:00Z",
        "2026-11-30",
        "0",
        "",
    ],
)
def test_an_expiry_in_another_form_is_none(text: str) -> None:
    assert parse_expiry(text) is None
    assert isinstance(read_owner(tags(expires_at=text)), str)


@given(st.datetimes(min_value=datetime(2000, 1, 1), max_value=datetime(2100, 1, 1)))
def test_an_expiry_is_read_as_it_was_written(moment: datetime) -> None:
    whole = moment.replace(microsecond=0, tzinfo=UTC)
    assert parse_expiry(whole.strftime("%Y-%m-%dT%H:%M:%SZ")) == whole


@given(st.dictionaries(st.sampled_from(["project", "stack", "expires-at", "Name"]), st.text(max_size=30)))
def test_tags_of_any_text_are_no_owner(found: dict[str, str]) -> None:
    """Hypothesis would have to write `tidemark` and a time in the one form that counts."""
    owner = read_owner(found)
    assert isinstance(owner, str) or is_ours(found)
    if isinstance(owner, Owner):
        assert found.keys() >= {"project", "stack", "expires-at"}


@pytest.mark.parametrize("project", ["tidemark ", " tidemark", "Tidemark", "tidemark\n", "tide mark", ""])
def test_another_project_is_not_ours(project: str) -> None:
    plan = make_plan([resource("volume", "v", of=tags(data="disposable") | {"project": project})], Selection(NOW))
    assert plan == Plan((), ())


def test_what_is_past_its_expiry_goes_and_the_rest_stays() -> None:
    found = [resource("vpc", "old"), resource("vpc", "young", of=tags(expires_at=FUTURE))]
    plan = make_plan(found, Selection(NOW))
    assert deleted(plan) == ["old"]
    assert status_of(plan) == {"young": Status.NOT_SELECTED}
    assert deleted(make_plan(found, Selection(NOW + timedelta(seconds=1)))) == ["old", "young"]


def test_a_missing_or_malformed_tag_means_no_however_it_is_asked_for() -> None:
    found = [
        resource("vpc", "no-stack", of={"project": "tidemark", "expires-at": PAST}),
        resource("vpc", "no-expiry", of={"project": "tidemark", "stack": "s"}),
        resource("vpc", "soon", of=tags("s", "soon")),
    ]
    for selection in (
        Selection(NOW),
        Selection(NOW, stack="s"),
        Selection(NOW, known=(), known_stacks=("s",)),
        Selection(NOW, included=frozenset({"no-stack", "no-expiry", "soon"})),
    ):
        plan = make_plan(found, selection)
        assert plan.delete == ()
        assert set(status_of(plan).values()) == {Status.LEFT}


def test_a_stack_that_is_named_goes_expired_or_not_and_no_other() -> None:
    found = [resource("vpc", "a", of=tags("one", FUTURE)), resource("vpc", "b", of=tags("two", PAST))]
    plan = make_plan(found, Selection(NOW, stack="one"))
    assert deleted(plan) == ["a"]
    assert status_of(plan) == {"b": Status.NOT_SELECTED}


@pytest.mark.parametrize("kind", ["volume", "file-system", "bucket"])
def test_data_goes_only_if_it_is_disposable_or_named(kind: str) -> None:
    found = [resource(kind, "kept"), resource(kind, "gone", of=tags(data="disposable"))]
    found.append(resource(kind, "else", of=tags(data="Disposable")))
    assert deleted(make_plan(found, Selection(NOW))) == ["gone"]
    assert status_of(make_plan(found, Selection(NOW))) == {"kept": Status.PROTECTED, "else": Status.PROTECTED}
    assert deleted(make_plan(found, Selection(NOW, included=frozenset({"kept"})))) == ["gone", "kept"]
    young = [resource(kind, "kept", of=tags(expires_at=FUTURE))]
    assert deleted(make_plan(young, Selection(NOW, included=frozenset({"kept"})))) == [], "a name is no expiry"


def test_a_barrier_or_a_kind_that_nothing_deletes_stays_even_if_it_is_named() -> None:
    found = [resource("instance", "i", barriers=("it has termination protection",)), resource("snapshot", "s")]
    plan = make_plan(found, Selection(NOW, included=frozenset({"i", "s"})))
    assert plan.delete == ()
    assert {kept.reason for kept in plan.kept} == {"it has termination protection", "nothing here deletes a snapshot"}


def test_what_stays_keeps_what_it_needs_and_so_on() -> None:
    network = [
        resource("subnet", "subnet", ref("vpc", "vpc")),
        resource("vpc", "vpc", ref("internet-gateway", "gateway")),
        resource("internet-gateway", "gateway", ref("vpc", "vpc")),
        resource("security-group", "group", ref("security-group-rule", "rule"), ref("vpc", "vpc")),
        resource("security-group-rule", "rule"),
        resource("key-pair", "key"),
    ]
    needs = (ref("subnet", "subnet"), ref("security-group", "group"))
    for of, barriers, expected in (
        (tags(expires_at=FUTURE), (), Status.NOT_SELECTED),
        (tags(), ("it has termination protection",), Status.LEFT),
        (tags() | {"project": "theirs"}, (), Status.LEFT),
        ({}, (), Status.LEFT),
    ):
        host = resource("instance", "host", *needs, of=of, barriers=barriers)
        plan = make_plan([*network, host], Selection(NOW))
        assert deleted(plan) == ["key"]
        kept = status_of(plan)
        assert {kept[id] for id in ("subnet", "vpc", "gateway", "group", "rule")} == {expected}
        assert ("host" in kept) == is_ours(of), "what is somebody else's is not listed"


def test_the_graver_reason_counts() -> None:
    """A VPC of a young host and of somebody else's is left, not merely in use."""
    found = [
        resource("instance", "young", ref("vpc", "vpc"), of=tags(expires_at=FUTURE)),
        resource("network-interface", "theirs", ref("vpc", "vpc"), of={}),
        resource("vpc", "vpc"),
    ]
    for order in (found, found[::-1]):
        assert status_of(make_plan(order, Selection(NOW)))["vpc"] == Status.LEFT


def test_a_part_goes_with_its_whole() -> None:
    found = [resource("instance", "host"), resource("volume", "root", part_of=ref("instance", "host"), of={})]
    plan = make_plan(found, Selection(NOW))
    assert deleted(plan) == ["host"]
    assert plan.kept == ()


def test_the_order_is_awss_whatever_the_order_of_finding() -> None:
    found = [resource(kind, kind, of=tags(data="disposable")) for kind in ORDER]
    plan = make_plan(found[::-1], Selection(NOW))
    assert deleted(plan) == list(ORDER)
    before = ORDER.index
    assert before("instance") < before("volume") < before("vpc")
    assert before("instance") < before("elastic-ip")
    assert before("security-group-rule") < before("security-group") < before("vpc")
    assert before("subnet") < before("route-table") < before("vpc")
    assert before("internet-gateway") < before("vpc")
    assert before("instance") < before("instance-profile") < before("role")
    assert set(KINDS) == set(ORDER)


def test_regions_are_apart() -> None:
    found = [
        resource("vpc", "here"),
        resource("vpc", "there", region="us-east-1"),
        resource("role", "anywhere", region=GLOBAL),
    ]
    plan = make_plan(found, Selection(NOW))
    assert [each.id for each in plan.of_region(REGION)] == ["here"]
    assert [each.id for each in plan.of_region(GLOBAL)] == ["anywhere"]


def test_orphans_are_what_no_state_knows_of_stacks_that_the_backend_has() -> None:
    found = [
        resource("vpc", "known", of=tags("here", FUTURE)),
        resource("vpc", "lost", of=tags("here", FUTURE)),
        resource("key-pair", "by-another-name", of=tags("here", FUTURE), names=frozenset({"key-0123"})),
        resource("vpc", "elsewhere", of=tags("there", PAST)),
        resource("vpc", "busy", of=tags("locked", PAST)),
    ]
    selection = Selection(
        NOW, known={"known", "key-0123"}, known_stacks={"here", "locked"}, busy={"locked": "its stack is locked"}
    )
    plan = make_plan(found, selection)
    assert deleted(plan) == ["lost"]
    assert status_of(plan) == {
        "known": Status.NOT_SELECTED,
        "by-another-name": Status.NOT_SELECTED,
        "elsewhere": Status.LEFT,
        "busy": Status.LEFT,
    }
    named = Selection(NOW, stack="there", known={"known"}, known_stacks={"here"})
    assert deleted(make_plan(found, named)) == ["elsewhere"], "naming a stack that the backend lacks is enough"
    assert deleted(make_plan(found, Selection(NOW, stack="here", known={"known", "key-0123"}))) == ["lost"]


def test_a_scheduled_reaper_spares_reapers() -> None:
    found = [resource("role", "own", of=tags("reaper.eu-central-1")), resource("role", "other")]
    assert deleted(make_plan(found, Selection(NOW, spared_prefix="reaper."))) == ["other"]
    assert sorted(deleted(make_plan(found, Selection(NOW)))) == ["other", "own"]


def test_what_is_needed_by_what_is_left_is_found_through_others() -> None:
    a = resource("instance", "a", ref("subnet", "b"))
    b = resource("subnet", "b", ref("vpc", "c"))
    assert needed_by([a], {each.ref: each for each in (a, b)}) == {ref("subnet", "b"): a, ref("vpc", "c"): b}
