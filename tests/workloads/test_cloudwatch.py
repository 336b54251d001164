"""Reading CloudWatch: against moto, and against answers that moto never gives."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.exceptions import EndpointConnectionError, NoCredentialsError, ReadTimeoutError
from botocore.stub import Stubber
from hypothesis import given
from hypothesis import strategies as st
from moto import mock_aws

from workloads.aws import aws_client
from workloads.efs_iops import cloudwatch
from workloads.efs_iops.cloudwatch import FILE_SYSTEM_ID, METRICS, minutes

SYSTEM = "fs-0123456789abcdef0"
START = 1_699_999_980  # a whole minute
MINUTE = 60


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """CloudWatch of an empty account."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    with mock_aws():
        yield boto3.client("cloudwatch", region_name="eu-central-1")


def put(
    client: Any, name: str, minute: int, count: float, total: float, least: float, most: float, **more: str
) -> None:
    """Puts a minute of a metric; `more` are further dimensions."""
    dimensions = {"FileSystemId": SYSTEM} | more
    client.put_metric_data(
        Namespace="AWS/EFS",
        MetricData=[
            {
                "MetricName": name,
                "Dimensions": [{"Name": key, "Value": value} for key, value in dimensions.items()],
                "Timestamp": datetime.fromtimestamp(minute, UTC),
                "StatisticValues": {"SampleCount": count, "Sum": total, "Minimum": least, "Maximum": most},
            }
        ],
    )


def minute_record(metric: str, minute: int, unit: str, **statistics: float) -> dict[str, Any]:
    return {
        "kind": "minute",
        "metric": metric,
        "t_unix_s": minute,
        "period_s": 60,
        "unit": unit,
        "statistics": statistics,
    }


@pytest.mark.parametrize(
    ("text", "is_one"),
    [(SYSTEM, True), ("fs-01234567", True), ("fs-0123", False), ("nas.example.org", False), (f"{SYSTEM}\n", False)],
)
def test_ids(text: str, is_one: bool) -> None:
    assert (FILE_SYSTEM_ID.fullmatch(text) is not None) == is_one


@given(st.floats(0, 2e9), st.floats(0, 1e5))
def test_minutes_lie_wholly_between(from_unix_s: float, seconds: float) -> None:
    until_unix_s = from_unix_s + seconds
    found = minutes(from_unix_s, until_unix_s)
    assert all(minute % 60 == 0 and from_unix_s <= minute and minute + 60 <= until_unix_s for minute in found)
    # And no other does.
    assert found.start - 60 < from_unix_s
    assert found.stop + 60 > until_unix_s
    assert len(found) >= (seconds - 120) // 60


@pytest.mark.parametrize(
    ("from_unix_s", "until_unix_s", "starts"),
    [
        (START, START + 120, [START, START + 60]),
        (START + 0.5, START + 120, [START + 60]),
        (START, START + 119.9, [START]),
        (START + 1, START + 59, []),
        (START + 30, START + 90, []),
    ],
)
def test_minutes(from_unix_s: float, until_unix_s: float, starts: list[int]) -> None:
    assert list(minutes(from_unix_s, until_unix_s)) == starts


def ask(client: Any, among: range) -> list[dict[str, Any]]:
    """The records of the minutes that have arrived."""
    reading = cloudwatch.wait_for(client, SYSTEM, among, among, limit_s=0)
    return reading[:-1]


def test_all_statistics_that_a_metric_has(client: Any) -> None:
    put(client, "DataWriteIOBytes", START, 3, 12292, 4096, 4100)
    put(client, "DataWriteIOBytes", START + 60, 1, 4096, 4096, 4096)
    put(client, "PercentIOLimit", START, 60, 5040, 80, 88)
    put(client, "PermittedThroughput", START, 60, 60 * 104857600, 104857600, 104857600)
    put(client, "StorageBytes", START, 1, 6144, 6144, 6144, StorageClass="Total")
    put(client, "StorageBytes", START, 1, 4096, 4096, 4096, StorageClass="Standard")
    put(client, "ClientConnections", START, 1, 2, 2, 2)
    put(client, "TimeSinceLastSync", START, 1, 2, 2, 2)
    assert ask(client, minutes(START, START + 2 * MINUTE)) == [
        minute_record(
            "DataWriteIOBytes", START, "Bytes", Sum=12292, SampleCount=3, Minimum=4096, Maximum=4100, Average=12292 / 3
        ),
        minute_record(
            "DataWriteIOBytes", START + 60, "Bytes", Sum=4096, SampleCount=1, Minimum=4096, Maximum=4096, Average=4096
        ),
        minute_record("PercentIOLimit", START, "Percent", Minimum=80, Maximum=88, Average=84),
        minute_record(
            "PermittedThroughput", START, "Bytes/Second", Minimum=104857600, Maximum=104857600, Average=104857600
        ),
        minute_record("StorageBytes", START, "Bytes", Minimum=6144, Maximum=6144, Average=6144),
        minute_record("ClientConnections", START, "Count", Sum=2),
    ]


def test_only_whole_minutes_and_only_this_file_system(client: Any) -> None:
    for minute in range(START - 60, START + 240, 60):
        put(client, "TotalIOBytes", minute, 1, 4096, 4096, 4096)
    client.put_metric_data(
        Namespace="AWS/EFS",
        MetricData=[
            {
                "MetricName": "DataReadIOBytes",
                "Dimensions": [{"Name": "FileSystemId", "Value": "fs-0other"}],
                "Timestamp": datetime.fromtimestamp(START + 60, UTC),
                "Value": 1,
            }
        ],
    )
    records = ask(client, minutes(START + 1, START + 179))
    assert [(each["metric"], each["t_unix_s"]) for each in records] == [("TotalIOBytes", START + 60)]
    assert ask(client, minutes(START + 1, START + 59)) == []


def test_the_queries_fit_into_one_call() -> None:
    assert sum(len(metric.statistics) for metric in METRICS) <= 500


class Answers:
    """A client whose answers are given; each is a page, an error code, or an exception."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *answers: dict[str, Any] | str | Exception) -> None:
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        self.client = aws_client("eu-central-1", "cloudwatch")
        self._stubber = Stubber(self.client)
        self._faults: deque[Exception | None] = deque()
        for answer in answers:
            if isinstance(answer, Exception):
                self._faults.append(answer)
                continue
            self._faults.append(None)
            if isinstance(answer, str):
                code, _, status = answer.partition(" ")
                self._stubber.add_client_error("get_metric_data", code, "because\nof it", int(status or 400))
            else:
                self._stubber.add_response("get_metric_data", answer)
        # This comes before the stubber looks for an answer of its own.
        self.client.meta.events.register("provide-client-params.cloudwatch.GetMetricData", self._raise)
        self._stubber.activate()

    def _raise(self, **_: object) -> None:
        fault = self._faults.popleft()
        if fault is not None:
            raise fault

    @property
    def left(self) -> int:
        """How many answers nobody asked for."""
        return len(self._faults)


def word_of(value: dict[str, Any] | str | Exception) -> str:
    """A name for a case."""
    if isinstance(value, dict):
        return str(value["MetricDataResults"][0]["StatusCode"])
    return value if isinstance(value, str) else type(value).__name__


def column(metric: str, statistic: str) -> str:
    """The id under which a statistic is asked for."""
    columns = [(each.name, name) for each in METRICS for name in each.statistics]
    return f"q{columns.index((metric, statistic))}"


def page(
    *values: tuple[int, float],
    metric: str = "TotalIOBytes",
    statistic: str = "SampleCount",
    state: str = "Complete",
    token: str | None = None,
) -> dict[str, Any]:
    """A page with values of one statistic, by minute."""
    result = {
        "Id": column(metric, statistic),
        "Timestamps": [datetime.fromtimestamp(minute, UTC) for minute, _ in values],
        "Values": [value for _, value in values],
        "StatusCode": state,
    }
    return {"MetricDataResults": [result]} | ({"NextToken": token} if token else {})


def test_pages_are_put_together(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = Answers(
        monkeypatch,
        page((START, 5.0), state="PartialData", token="more"),
        page((START + 60, 6.0)),
    )
    records = ask(answers.client, minutes(START, START + 120))
    assert [each["statistics"] for each in records] == [{"SampleCount": 5.0}, {"SampleCount": 6.0}]
    assert answers.left == 0


class Clock:
    """Takes the place of the modules `time` and `random`: time passes when something sleeps, and what happens
    meanwhile.
    """

    def __init__(self, meanwhile: Callable[[float], None] = lambda elapsed_s: None) -> None:
        self.slept: list[float] = []
        self.said: list[str] = []
        self._meanwhile = meanwhile

    @property
    def elapsed_s(self) -> float:
        return sum(self.slept)

    def time(self) -> float:
        return START + 1000 + self.elapsed_s

    def monotonic(self) -> float:
        return 5 + self.elapsed_s

    def random(self) -> float:
        return 1.0

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.slept.append(seconds)
        self._meanwhile(self.elapsed_s)

    def wait_for(
        self, client: Any, wanted: list[int] | None = None, count: int = 3, **options: float
    ) -> list[dict[str, Any]]:
        """Waits for minutes among the `count` after START."""
        among = minutes(START, START + count * MINUTE)
        wanted = list(among) if wanted is None else wanted
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(cloudwatch, "time", self)
            patch.setattr(cloudwatch, "random", self)
            return cloudwatch.wait_for(client, SYSTEM, among, wanted, tell=self.said.append, **options)


def asked(reading: list[dict[str, Any]]) -> dict[str, Any]:
    """The record of the asking: the last, and the only one."""
    assert [each["kind"] for each in reading[:-1]] == ["minute"] * (len(reading) - 1)
    return reading[-1]


def test_minutes_that_come_late_are_waited_for(client: Any) -> None:
    arrivals = {120.0: START, 180.0: START + 60, 240.0: START + 120}

    def arrive(elapsed_s: float) -> None:
        if elapsed_s in arrivals:
            put(client, "TotalIOBytes", arrivals[elapsed_s], 1, 4096, 4096, 4096)
            put(client, "DataReadIOBytes", arrivals[elapsed_s], 1, 4096, 4096, 4096)

    clock = Clock(arrive)
    reading = clock.wait_for(client)
    # The last arrives after 240 s, and the next answer is the same.
    assert asked(reading) == {
        "kind": "asked",
        "from_unix_s": START,
        "until_unix_s": START + 180,
        "asked_at_unix_s": START + 1250,
        "waited_s": 250.0,
        "reason": None,
    }
    assert reading[-1]["reason"] is None
    assert [each["t_unix_s"] for each in reading if each.get("metric") == "DataReadIOBytes"] == [
        START,
        START + 60,
        START + 120,
    ]
    assert clock.said == [
        "CloudWatch lacks 3 of 3 minutes, the first from 22:13 UTC; asking again for up to 600 s",
        "CloudWatch lacks 2 of 3 minutes, the first from 22:14 UTC; asking again for up to 480 s",
        "CloudWatch lacks 1 of 3 minutes, the first from 22:15 UTC; asking again for up to 420 s",
    ]


def test_a_minute_that_still_grows_is_asked_for_again(client: Any) -> None:
    def grow(elapsed_s: float) -> None:
        if elapsed_s <= 30:
            put(client, "TotalIOBytes", START, 1, 4096, 4096, 4096)

    put(client, "TotalIOBytes", START, 1, 4096, 4096, 4096)
    reading = Clock(grow).wait_for(client, [START])
    assert reading[-1]["reason"] is None
    assert asked(reading)["waited_s"] == 40.0
    assert reading[0]["statistics"]["SampleCount"] == 4


def test_minutes_in_which_nothing_was_moved_are_not_waited_for(client: Any) -> None:
    put(client, "TotalIOBytes", START + 60, 1, 4096, 4096, 4096)
    reading = Clock().wait_for(client, [START + 60])
    assert (reading[-1]["reason"], asked(reading)["waited_s"], len(reading)) == (None, 10.0, 2)


def test_a_minute_that_never_comes_ends_the_waiting(client: Any) -> None:
    put(client, "TotalIOBytes", START, 1, 4096, 4096, 4096)
    clock = Clock()
    reading = clock.wait_for(client, [START, START + 120])
    assert reading[-1]["reason"] == "CloudWatch lacks 1 of 2 minutes, the first from 22:15 UTC, after 600 s"
    assert asked(reading)["reason"] == reading[-1]["reason"]
    assert [each["t_unix_s"] for each in reading[:-1]] == [START]
    assert clock.elapsed_s == 600


def test_the_wait_is_bounded_to_the_second(client: Any) -> None:
    clock = Clock()
    clock.wait_for(client, [START], limit_s=25.0, poll_s=10.0)
    assert clock.slept == [10.0, 10.0, 5.0]


def test_figures_that_never_settle_are_kept_with_the_reason(client: Any) -> None:
    put(client, "TotalIOBytes", START, 1, 4096, 4096, 4096)
    reading = Clock(lambda _: put(client, "TotalIOBytes", START, 1, 4096, 4096, 4096)).wait_for(
        client, [START], limit_s=30.0
    )
    assert reading[-1]["reason"] == "no two answers in a row were the same, after 30 s"
    assert reading[0]["statistics"]["SampleCount"] == 4


def test_no_whole_minute_is_not_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    reading = Clock().wait_for(Answers(monkeypatch).client, [], count=0)
    assert reading == [asked(reading)]
    assert reading[-1]["reason"] == "there is no whole minute to ask for"


GOOD = page((START, 5.0))


@pytest.mark.parametrize(
    "fault",
    [
        "Throttling",
        "ThrottlingException",
        "LimitExceeded",
        "LimitExceededFault",
        "RequestLimitExceeded",
        "SomethingElse 429",
        "InternalServiceFault 500",
        "ServiceUnavailable 503",
        EndpointConnectionError(endpoint_url="https://monitoring.eu-central-1.amazonaws.com"),
        ReadTimeoutError(endpoint_url="https://monitoring.eu-central-1.amazonaws.com"),
        page(state="InternalError"),
        page(state="PartialData"),
    ],
    ids=word_of,
)
def test_what_may_pass_is_tried_again_less_and_less_often(
    monkeypatch: pytest.MonkeyPatch, fault: dict[str, Any] | str | Exception
) -> None:
    answers = Answers(monkeypatch, GOOD, fault, fault, fault, fault, GOOD)
    clock = Clock()
    reading = clock.wait_for(answers.client, [START])
    assert reading[-1]["reason"] is None
    assert [each["statistics"] for each in reading[:-1]] == [{"SampleCount": 5.0}]
    assert clock.slept == [10.0, 20.0, 40.0, 60.0, 60.0]
    assert answers.left == 0


@given(st.floats(0, 1), st.integers(1, 1000))
def test_chance_shortens_a_pause_by_half_at_most(chance: float, faults: int) -> None:
    longest = cloudwatch._pause_s(10.0, faults, 1.0)
    assert longest / 2 <= cloudwatch._pause_s(10.0, faults, chance) <= longest <= cloudwatch.LONGEST_PAUSE_S
    assert cloudwatch._pause_s(10.0, 0, chance) == 10.0


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ("ExpiredToken", "the credentials are no longer valid (ExpiredToken): renew them and ask again"),
        ("ExpiredTokenException", "the credentials are no longer valid (ExpiredTokenException): renew them"),
        ("InvalidClientTokenId 403", "the credentials are no longer valid (InvalidClientTokenId): renew them"),
        ("UnrecognizedClientException", "the credentials are no longer valid (UnrecognizedClientException)"),
        ("AccessDenied 403", "CloudWatch answers AccessDenied (because of it)"),
        ("InvalidParameterValue", "CloudWatch answers InvalidParameterValue (because of it)"),
        (NoCredentialsError(), "CloudWatch cannot be asked (Unable to locate credentials)"),
        (page(state="Forbidden"), "CloudWatch answers Forbidden for TotalIOBytes"),
    ],
    ids=word_of,
)
def test_what_will_not_pass_ends_the_waiting_and_what_was_read_is_kept(
    monkeypatch: pytest.MonkeyPatch, fault: dict[str, Any] | str | Exception, says: str
) -> None:
    answers = Answers(monkeypatch, GOOD, fault, GOOD)
    clock = Clock()
    reading = clock.wait_for(answers.client, [START, START + 60])
    assert reading[-1]["reason"] is not None
    assert reading[-1]["reason"].startswith(says)
    assert reading[-1]["reason"].endswith("; CloudWatch lacks 1 of 2 minutes, the first from 22:14 UTC")
    assert "\n" not in reading[-1]["reason"]
    assert asked(reading)["reason"] == reading[-1]["reason"]
    assert [each["statistics"] for each in reading[:-1]] == [{"SampleCount": 5.0}]
    assert clock.slept == [10.0]
    assert answers.left == 1


def test_the_first_pages_of_an_answer_that_broke_off_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = Answers(monkeypatch, page((START, 5.0), token="more"), "ExpiredToken")
    reading = Clock().wait_for(answers.client, [START, START + 60])
    assert [each["t_unix_s"] for each in reading[:-1]] == [START]


def test_throttling_to_the_end_keeps_what_was_read(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = Answers(monkeypatch, page((START, 5.0)), *["Throttling"] * 20)
    reading = Clock().wait_for(answers.client, [START])
    assert reading[-1]["reason"] == "CloudWatch is asked too often (Throttling), after 600 s"
    assert [each["statistics"] for each in reading[:-1]] == [{"SampleCount": 5.0}]


def test_a_value_that_a_later_answer_lacks_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    both, one = page((START, 5.0), (START + 60, 6.0)), page((START + 60, 7.0))
    reading = Clock().wait_for(Answers(monkeypatch, both, one, one).client, [START, START + 60])
    assert [each["statistics"]["SampleCount"] for each in reading[:-1]] == [5.0, 7.0]


@pytest.mark.parametrize("name", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_CLOUDWATCH"])
def test_no_credentials_of_yours_go_to_a_rehearsal(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)  # it keeps the credentials that it found first
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "yours")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "yours")
    monkeypatch.setenv(name, "http://127.0.0.1:5000")
    client: Any = aws_client("eu-central-1", "cloudwatch")
    assert client.meta.endpoint_url == "http://127.0.0.1:5000"
    assert client._request_signer._credentials.access_key == "rehearsal"
    monkeypatch.setenv(name, "https://monitoring.example.org")
    client = aws_client("eu-central-1", "cloudwatch")
    assert client._request_signer._credentials.access_key == "yours"
