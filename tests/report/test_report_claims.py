from __future__ import annotations

import dataclasses
import math
import re
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from report.claims import CLAIMS, ClaimError, load_claims
from report.experiments import experiment_names, summary_type
from report.expressions import Expression, ExpressionError, Sentence
from report.known_answers import KnownAnswer, KnownAnswers
from report.md_raid.experiment import summarize
from report.md_raid.schema import Summary
from report.runs import open_run
from report.verdicts import Verdict, judge
from tests.report.run_builder import RunBuilder


@dataclass(frozen=True)
class Inner:
    rate: float | None
    whole: bool | None


@dataclass(frozen=True)
class Outer:
    inner: Inner | None
    count: int | None
    name: str
    many: list[int]


def outer(rate: float | None = 4.0, whole: bool | None = True, count: int | None = 2) -> Outer:
    return Outer(Inner(rate, whole), count, "raw", [])


def value(text: str, summary: Outer) -> object:
    return Expression.parse(text, Outer, {"published": 10.0, "tolerance": 0.5}).evaluate(summary)


@pytest.mark.parametrize("text", ["inner.rate", "inner.rate > 1", "inner.rate * 0 < 1", "-inner.rate < 1"])
@pytest.mark.parametrize("rate", [math.inf, -math.inf, math.nan])
def test_what_is_no_number_is_not_known(text: str, rate: float) -> None:
    assert value(text, outer(rate)) is None


@pytest.mark.parametrize("text", ["inner.rate * 1e308 > 1", f"inner.rate + 1{'0' * 400} > 1", "1e308 * 10 > 1"])
def test_what_no_number_can_hold_is_not_known(text: str) -> None:
    assert value(text, outer(1e9)) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("inner.rate", 4.0),
        ("inner.rate * 2 + 1", 9.0),
        ("-count", -2),
        ("published * (1 - tolerance) <= inner.rate <= published", False),
        ("inner.rate / count == 2", True),
        ("inner.rate >= 3 and inner.whole", True),
        ("inner.rate > 4 or not inner.whole", False),
        ("name == 'raw'", True),
        ("count != 2", False),
        ("inner.rate / 0 > 1", None),
    ],
)
def test_expressions_are_evaluated(text: str, expected: object) -> None:
    assert value(text, outer()) == expected


@pytest.mark.parametrize(
    ("text", "summary", "expected"),
    [
        ("inner.rate > 3", outer(rate=None), None),
        ("inner.rate > 3", Outer(None, None, "", []), None),
        ("inner.rate > 3 and count == 9", outer(rate=None), False),
        ("inner.rate > 3 or count == 2", outer(rate=None), True),
        ("inner.rate > 3 and count == 2", outer(rate=None), None),
        ("not inner.whole", outer(whole=None), None),
        ("1 < inner.rate < 0", outer(rate=None), None),
        ("2 < 1 < inner.rate", outer(rate=None), False),
        ("inner.rate + 1", outer(rate=None), None),
    ],
)
def test_what_is_not_known_stays_unknown(text: str, summary: Outer, expected: object) -> None:
    assert value(text, summary) is expected


three = st.sampled_from([True, False, None])
# Which of them depends on how deep an expression this version of Python reads.
UNREADABLE = "is not an expression|is too long"


@given(three, three)
def test_and_and_or_are_each_other_s_mirror(a: bool | None, b: bool | None) -> None:
    number = {True: 1, False: 0, None: None}
    summary = Outer(Inner(None, a), number[b], "", [])
    both = value("inner.whole and count == 1", summary)
    either = value("not (not inner.whole or not count == 1)", summary)
    assert both is either


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("inner.speed > 1", "inner.speed: inner has no field 'speed'; it has rate, whole"),
        ("outer.rate > 1", "the summary has no field 'outer'"),
        ("inner.rate.unit > 1", "rate is a figure, it has no fields"),
        ("inner == 1", "inner is not a single figure"),
        ("many == 1", "many is not a single figure"),
        ("inner.rate >", "is not an expression"),
        ("inner.rate and count", "inner.rate is a number, not a boolean"),
        ("inner.whole > 1", "inner.whole is a boolean, not a number"),
        ("name < 'x'", "'x' is a text, not a number"),
        ("count == 'x'", "'x' is a text, not a number"),
        ("len(many) > 1", "len(many)"),
        ("__import__('os').system('true')", "only paths"),
        ("many[0] > 1", "many[0]"),
        ("count ** 9999999", "only paths, numbers, comparisons"),
        ("[count for count in many]", "only paths"),
        ("lambda: 1", "only paths"),
        ("inner.__class__", "has no field '__class__'"),
        ("1 if inner.whole else 2", "only paths"),
        ("count in (1, 2)", "only paths"),
        ("(" * 500, UNREADABLE),
        ("-" * 5_000 + "1", UNREADABLE),
        ("-" * 300 + "1", "is too long"),
        ("not " * 5_000 + "1", UNREADABLE),
        ("count" + " + 1" * 300, "is too long"),
        ("count" + " + 1" * 50_000, UNREADABLE),
        ("a" * 500, "has no field"),
        ("[" + "1, " * 200 + "]", "only paths"),
        ("count >= 1in 2", "only paths"),
    ],
)
def test_an_expression_that_can_never_be_tested_is_refused(text: str, says: str) -> None:
    with pytest.raises(ExpressionError) as refusal:
        Expression.parse(text, Outer)
    assert any(each in str(refusal.value) for each in says.split("|"))
    assert len(str(refusal.value)) < 300


def verdicts(builder: RunBuilder, tmp_path: Path) -> dict[str, Verdict]:
    summary = summarize(open_run(builder.write(tmp_path)))
    ledger = load_claims("md-raid", Summary)
    return {claim.id: judge(claim, summary, builder.rehearsal) for claim in ledger}


@pytest.mark.parametrize("experiment", experiment_names())
def test_every_ledger_loads(experiment: str) -> None:
    assert load_claims(experiment, summary_type(experiment))


def test_verdicts_of_a_rehearsal(tmp_path: Path) -> None:
    found = verdicts(RunBuilder(seconds=2), tmp_path)
    rate = found["md-raid/volume-rate"]
    assert (rate.verdict, rate.detail) == ("not judged", "needs AWS: a rehearsal figure says nothing of EBS")
    assert rate.measured == pytest.approx(40, abs=2)
    assert rate.rehearsal
    assert found["md-raid/survives-two"].verdict == "holds"
    scales = found["md-raid/scales"]
    assert scales.verdict == "not judged"
    assert "it is not known whether its method is proved" in scales.detail, "without a service model"
    assert scales.measured is not None


@pytest.mark.parametrize(
    ("outcomes", "says"),
    [
        ([True, True], "its method is proved: known answers found (2 of 2)"),
        ([True, False], "its method is not proved: known answers found (1 of 2)"),
        ([True, None], "its method is not proved: known answers found (1 of 2)"),
    ],
)
def test_a_rehearsal_says_whether_the_method_is_proved(outcomes: list[bool | None], says: str, tmp_path: Path) -> None:
    summary = summarize(open_run(RunBuilder(seconds=2).write(tmp_path)))
    rows = [KnownAnswer("rate of a volume", "MB/s", 5.0, 5.0, "5 %", outcome) for outcome in outcomes]
    summary = dataclasses.replace(summary, known_answers=KnownAnswers.of("made-up", rows))
    (claim,) = [each for each in load_claims("md-raid", Summary) if each.id == "md-raid/scales"]
    found = judge(claim, summary, rehearsal=True)
    assert (found.verdict, found.detail) == (
        "not judged",
        f"needs AWS: a rehearsal's volumes and links are those of its service model; {says}",
    )


def test_verdicts_on_aws(tmp_path: Path) -> None:
    found = verdicts(RunBuilder(rehearsal=False, seconds=2), tmp_path)
    assert found["md-raid/volume-rate"].verdict == "holds"
    assert "tolerance 20 %" in found["md-raid/volume-rate"].detail
    assert found["md-raid/survives-two"].verdict == "holds"
    assert found["md-raid/scales"].verdict == "differs"
    assert "reaches 0.7" in found["md-raid/scales"].detail


def test_a_claim_differs_by_so_much(tmp_path: Path) -> None:
    builder = RunBuilder(rehearsal=False, seconds=2)
    for record in builder.streams["worker"]:
        if record["cell"] == "raw-1x1-sequential" and record["kind"] == "final":
            record["bytes"] *= 2
    found = verdicts(builder, tmp_path)["md-raid/volume-rate"]
    assert found.verdict == "differs"
    assert "% above the published value (tolerance 20 %)" in found.detail


def test_the_detail_is_the_claims_own_sentence(tmp_path: Path) -> None:
    builder = RunBuilder(seconds=2)
    for record in builder.streams["worker"]:
        if record["cell"] == "drill-kill-2" and record["kind"] == "final":
            record["errors"] = {"EIO": 3}
    found = verdicts(builder, tmp_path)["md-raid/survives-two"]
    assert found.verdict == "differs"
    assert found.detail == (
        "servers killed: 2; 3 reads failed, at least 1 of 3 legs of each mirror kept working, the data read back is "
        "the data written"
    )
    assert found.measured == 3


def test_without_a_figure_of_the_test_a_claim_is_not_judged(tmp_path: Path) -> None:
    builder = RunBuilder(seconds=2)
    builder.streams["drill"] = [r for r in builder.streams["drill"] if r["event"] != "verified"]
    found = verdicts(builder, tmp_path)["md-raid/survives-two"]
    assert found.verdict == "not judged"
    assert found.detail == "no value for drill.checksum_matched"


def test_with_one_server_killed_the_loss_of_two_is_not_judged(tmp_path: Path) -> None:
    builder = RunBuilder(seconds=2)
    builder.streams["drill"] = [r for r in builder.streams["drill"] if r.get("host") != "storage-3"]
    found = verdicts(builder, tmp_path)["md-raid/survives-two"]
    assert found.verdict == "not judged"
    assert found.detail == "needs two killed servers, so three servers at least; killed: 1"


def test_without_a_run_of_it_a_claim_is_not_run(tmp_path: Path) -> None:
    builder = RunBuilder(seconds=2)
    del builder.streams["drill"]
    builder.streams["worker"] = [record for record in builder.streams["worker"] if "drill" not in record["cell"]]
    found = verdicts(builder, tmp_path)["md-raid/survives-two"]
    assert (found.verdict, found.detail) == (
        "not run",
        "needs two killed servers, so three servers at least; killed: \u2013",
    )


@pytest.mark.parametrize(
    ("text", "summary", "expected"),
    [
        ("{inner.rate} MiB/s by {name}", outer(rate=4.0), "4 MiB/s by raw"),
        ("{inner.rate} MiB/s", outer(rate=None), "\u2013 MiB/s"),
        ("{inner.rate} MiB/s", Outer(None, None, "", []), "\u2013 MiB/s"),
        ("{inner.whole?it is whole|it is not}", outer(whole=True), "it is whole"),
        ("{inner.whole?it is whole|it is not}", outer(whole=False), "it is not"),
        ("{inner.whole?it is whole|it is not}", outer(whole=None), "it is not known whether it is whole"),
    ],
)
def test_a_sentence_is_filled_with_figures(text: str, summary: Outer, expected: str) -> None:
    assert Sentence.parse(text, Outer).fill(summary) == expected


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{inner.speed} MiB/s", "inner has no field 'speed'"),
        ("{inner.rate?yes|no}", "inner.rate is a number, neither true nor false"),
        ("{inner.whole?yes}", "a brace that does not belong"),
        ("{inner.rate", "a brace that does not belong"),
    ],
)
def test_a_sentence_that_can_never_be_filled_is_refused(text: str, says: str) -> None:
    with pytest.raises(ExpressionError, match=re.escape(says)):
        Sentence.parse(text, Outer)


@pytest.mark.parametrize(
    ("field", "wrong", "says"),
    [
        ("finding", "{volume.speed} MB/s", "md-raid/volume-rate: finding: volume.speed: volume has no field 'speed'"),
        ("test", "volume.speed > 1", "md-raid/volume-rate: test: volume.speed: volume has no field 'speed'"),
        ("measured", "nothing.here", "md-raid/volume-rate: measured: nothing.here: the summary has no field"),
        ("test", "volume.sequential_mb_per_s", "is a number, it can't hold or differ"),
        ("when", "drill.killed == 2", "when: drill.killed: drill has no field 'killed'"),
        ("when", "drill.hosts_killed", "when: drill.hosts_killed is a number"),
        (
            "applies",
            {"where": "moon", "reason": "x"},
            'applies.where is "moon"; expected one of aws, rehearsal, either',
        ),
        ("applies", {"where": "aws"}, "applies.reason is null; expected text: why only a run of aws counts"),
        ("published", {"value": "lots"}, 'published.value is "lots"; expected a number, or null'),
        ("published", None, "published is null; expected a mapping with value, unit, date, source, points"),
        ("tolerance", None, "tolerance is used, but the claim gives none"),
        ("tolerance", {"ratio": -1, "reason": "x"}, "tolerance.ratio is -1; expected a number from 0"),
        ("tolerance", {"ratio": 0.1}, "tolerance.reason is missing; expected text"),
        (
            "id",
            "efs-iops/volume-rate",
            'claims[0].id is "efs-iops/volume-rate"; expected an id that begins with md-raid/',
        ),
        ("id", "md-raid/scales", "claims[3].id is md-raid/scales, as is claims[0].id; each must be different"),
        ("colour", "red", "md-raid/volume-rate: colour is not a field; allowed are id, claim"),
        ("claim", "", 'md-raid/volume-rate: claim is ""; expected text'),
    ],
)
def test_a_wrong_claim_names_file_claim_and_field(tmp_path: Path, field: str, wrong: object, says: str) -> None:
    document = yaml.safe_load((CLAIMS / "md-raid.yaml").read_text())
    document["claims"][0][field] = wrong
    (tmp_path / "md-raid.yaml").write_text(yaml.safe_dump(document))
    with pytest.raises(ClaimError) as refusal:
        load_claims("md-raid", Summary, tmp_path)
    message = str(refusal.value)
    assert all(line.startswith(str(tmp_path / "md-raid.yaml")) for line in message.splitlines())
    assert says in message


def test_all_wrong_formulas_of_a_file_are_named_at_once(tmp_path: Path) -> None:
    document = yaml.safe_load((CLAIMS / "md-raid.yaml").read_text())
    document["claims"][0] |= {"test": "volume.speed > 1", "finding": "{nothing}"}
    document["claims"][1]["measured"] = "drill.killed"
    (tmp_path / "md-raid.yaml").write_text(yaml.safe_dump(document))
    with pytest.raises(ClaimError) as refusal:
        load_claims("md-raid", Summary, tmp_path)
    fields = [line.split(": ")[2] for line in str(refusal.value).splitlines()]
    assert fields == ["test", "finding", "measured"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{schema: 2, experiment: md-raid, claims: [1]}", "schema is 2; expected 1"),
        ("{schema: 1, experiment: efs-iops, claims: []}", "claims is []; expected a list of at least one claim"),
        ("{schema: 1, experiment: md-raid, claims: []}", "a list of at least one"),
        ("a: [", "not YAML"),
        ("{schema: 1, schema: 1}", "'schema' is there twice"),
        ("schema: 2018-13-01", "not YAML"),
        ("just text", "expected a mapping with schema, experiment, claims"),
    ],
)
def test_a_wrong_ledger_is_one_line(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "md-raid.yaml").write_text(text)
    with pytest.raises(ClaimError) as refusal:
        load_claims("md-raid", Summary, tmp_path)
    assert says in str(refusal.value)
    assert all(line.startswith(str(tmp_path)) for line in str(refusal.value).splitlines())


@pytest.mark.parametrize("content", [b"\xff\xfe", b"schema: 1\n" + b"\x00", b"[" * 100_000, b"a: &a [*a]", b"? {}: 1"])
def test_a_ledger_that_is_no_text_is_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "md-raid.yaml").write_bytes(content)
    with pytest.raises(ClaimError) as refusal:
        load_claims("md-raid", Summary, tmp_path)
    assert str(refusal.value).startswith(str(tmp_path))
    assert "\n" not in str(refusal.value)


def test_a_ledger_that_cannot_be_read_says_why_once(tmp_path: Path) -> None:
    (tmp_path / "md-raid.yaml").mkdir()
    with pytest.raises(ClaimError) as refusal:
        load_claims("md-raid", Summary, tmp_path)
    assert str(refusal.value) == f"{tmp_path}/md-raid.yaml: can't be read: Is a directory"


def test_a_ledger_of_another_experiment_is_refused(tmp_path: Path) -> None:
    (tmp_path / "md-raid.yaml").write_text((CLAIMS / "eip-region.yaml").read_text())
    with pytest.raises(ClaimError, match="experiment is 'eip-region', the file's name says 'md-raid'"):
        load_claims("md-raid", Summary, tmp_path)


def test_all_faults_of_a_ledger_are_told_at_once(tmp_path: Path) -> None:
    document = yaml.safe_load((CLAIMS / "md-raid.yaml").read_text())
    document["claims"][0]["published"]["unit"] = 3
    document["claims"][1]["applies"]["where"] = "moon"
    (tmp_path / "md-raid.yaml").write_text(yaml.safe_dump(document))
    with pytest.raises(ClaimError) as refusal:
        load_claims("md-raid", Summary, tmp_path)
    file = tmp_path / "md-raid.yaml"
    assert str(refusal.value).splitlines() == [
        f"{file}: md-raid/volume-rate: published.unit is 3; expected text",
        f'{file}: md-raid/survives-two: applies.where is "moon"; expected one of aws, rehearsal, either',
    ]
