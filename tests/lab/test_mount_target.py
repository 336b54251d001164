"""The mount target's front end as a program: what passes, what is held back, what is counted, how it ends."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conftest import THOROUGH, free_port
from tests.lab import nfs_messages as nfs
from tests.lab.mount_target import (
    NOTHING,
    SOURCE,
    WAIT_SECONDS,
    Front,
    added_up,
    check_seconds,
    has_ended,
    receive,
    receive_record,
    reset,
    send_beside,
    send_until_blocked,
)
from tests.machine import make

HOUR_NS = 3600 * 10**9 // 4  # a quarter of one: what must not wait for it would never come in the time of a test


PLAIN, SANITIZED = "mount-target", "mount-target-asan"
BOTH_BUILDS = pytest.mark.parametrize("binary", [PLAIN, SANITIZED], indirect=True)


@pytest.fixture(scope="session", params=[PLAIN, SANITIZED] if THOROUGH else [SANITIZED])
def binary(request: pytest.FixtureRequest) -> Path:
    """The build with sanitizers, which asks for more in the same tests; hosts and BOTH_BUILDS try the plain one."""
    return make(SOURCE, "sanitize" if request.param.endswith("asan") else "all") / str(request.param)


@pytest.fixture
def front(binary: Path) -> Iterator[Front]:
    with Front(binary) as running:
        yield running


@pytest.fixture(scope="module")
def passing(binary: Path) -> Iterator[Front]:
    """One for many connections, without a model."""
    with Front(binary) as running:
        yield running


def split(data: bytes, cuts: list[int]) -> list[bytes]:
    ends = [*sorted({cut % len(data) for cut in cuts} - {0}), len(data)]
    return [data[start:end] for start, end in zip([0, *ends[:-1]], ends, strict=True)]


CALLS = [nfs.read_call(1, 4096), nfs.write_call(2, b"w" * 700), nfs.null_call(3), nfs.null_reply(4), b"", b"garbage"]
REPLIES = [nfs.read_reply(1, b"r" * 900), nfs.write_reply(2, 700), nfs.null_reply(3), nfs.null_call(5), b"", b"garbage"]
STREAMS = st.tuples(
    st.lists(st.integers(0, len(CALLS) - 1), min_size=1, max_size=8),
    st.lists(st.integers(0, 10**6), max_size=6),
    st.lists(st.integers(0, 10**6), max_size=12),
)


def stream_of(messages: list[bytes], drawn: tuple[list[int], list[int], list[int]]) -> list[bytes]:
    which, fragments, chunks = drawn
    records = [nfs.record(messages[i], [cut % (len(messages[i]) + 1) for cut in fragments]) for i in which]
    return split(b"".join(records), chunks)


@BOTH_BUILDS
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(calls=STREAMS, replies=STREAMS)
def test_passes_every_byte_both_ways(
    passing: Front, calls: tuple[list[int], list[int], list[int]], replies: tuple[list[int], list[int], list[int]]
) -> None:
    """However it is cut into fragments and sent, and whether it is RPC or not."""
    with passing.open() as pair:
        for source, sink, chunks in (
            (pair.client, pair.server, stream_of(CALLS, calls)),
            (pair.server, pair.client, stream_of(REPLIES, replies)),
        ):
            for chunk in chunks:
                source.sendall(chunk)
            stream = b"".join(chunks)
            assert receive(sink, len(stream)) == stream


def test_passes_a_record_of_one_byte_fragments(front: Front) -> None:
    message = nfs.write_call(2, b"w" * 700)
    with front.open() as pair:
        pair.pass_on(nfs.record(message, range(len(message))))
        pair.pass_back(nfs.record(nfs.write_reply(2, 700), range(50)))
        written = added_up(front.counted(), "write")
    assert (written["count"], written["bytes"]) == (1, 700)


def test_large_records_pass_both_ways_past_slow_readers(front: Front) -> None:
    """A MiB each, more of them than sockets hold, and nobody reads for a while."""
    chance = random.Random(3)
    records = [nfs.record(nfs.write_call(i, chance.randbytes(nfs.MIB - i))) for i in range(24)]
    replies = [nfs.record(nfs.read_reply(i, chance.randbytes(nfs.MIB - i))) for i in range(24)]
    with front.open() as pair:
        for source, sink, stream in ((pair.client, pair.server, records), (pair.server, pair.client, replies)):
            sender = send_beside(source, b"".join(stream))
            time.sleep(0.2)
            assert all(receive(sink, len(record)) == record for record in stream)
            sender.join()
    # The numbers were those of WRITEs: a reply that has another operation's result is no success.
    assert added_up(front.counted(), "write") == NOTHING | {"failed": 24}


def test_counts_what_came_of_each_call(front: Front) -> None:
    stale = nfs.u32(nfs.READ, nfs.NFS4ERR_STALE)
    exchanges = [
        (nfs.read_call(1, 1000), nfs.read_reply(1, b"d" * 1000)),
        (nfs.read_call(2, 1000), nfs.read_reply(2, b"d" * 300, end_of_file=True)),
        (nfs.read_call(3, 1000), nfs.reply(3, nfs.sequence_result(), nfs.putfh_result(), stale, status=70)),
        (nfs.read_call(4, 1000), nfs.denied(4)),
        (nfs.write_call(5, b"w" * 2000), nfs.write_reply(5, 2000)),
        (nfs.write_call(6, b"w" * 2000), nfs.write_reply(6, 1500)),
        (nfs.write_call(7, b"w" * 2000), nfs.reply(7, nfs.sequence_result(10052), status=10052)),
        (nfs.call(8, nfs.sequence(), nfs.putfh(), nfs.getattr_()), nfs.reply(8, nfs.sequence_result(), status=0)),
        (nfs.call(9, nfs.getattr_(), nfs.read(77)), nfs.reply(9, nfs.getattr_result(), nfs.read_result(b"7" * 77))),
        (nfs.null_call(10), nfs.null_reply(10)),
        (nfs.call(11, program=100005), nfs.denied(11)),
    ]
    with front.open() as pair:
        for message, answer in exchanges:
            pair.pass_on(nfs.record(message))
            pair.pass_back(nfs.record(answer))
        pair.pass_back(nfs.record(nfs.null_call(500)))  # the server calls back,
        pair.pass_on(nfs.record(nfs.null_reply(500)))  # and is answered
        pair.pass_back(nfs.record(nfs.read_reply(1, b"again")))  # nobody asked
        pair.pass_on(nfs.record(b"garbage, which nobody answers"))
        pair.pass_back(nfs.record(nfs.null_reply(int.from_bytes(b"garb", "big"))))
        pair.pass_back(nfs.record(b"gar"))
        pair.pass_on(nfs.record(nfs.read_call(12, 10)))  # still without an answer
        seconds = front.counted()
    check_seconds(seconds)
    assert added_up(seconds, "read") == NOTHING | {
        "count": 2, "failed": 2, "bytes": 1300, "metered_sum": 1300, "metered_min": 300, "metered_max": 1000,
    }  # fmt: skip
    assert added_up(seconds, "write") == NOTHING | {
        "count": 2, "failed": 1, "bytes": 3500, "metered_sum": 3500, "metered_min": 1500, "metered_max": 2000,
    }  # fmt: skip
    assert added_up(seconds, "other") == {"count": 4}


def test_metering_minimum(front: Front) -> None:
    """Of the model, and 1 without: an operation that moved nothing is one all the same."""
    with front.open() as pair:
        for minimum, moved in ((None, 0), (4096, 1), (4096, 4096), (4096, 10_240)):
            if minimum is not None:
                front.follow(metering_minimum_bytes=minimum)
            pair.pass_on(nfs.record(nfs.read_call(moved, moved)))
            pair.pass_back(nfs.record(nfs.read_reply(moved, bytes(moved))))
        read = added_up(front.counted(), "read")
    metered = 1 + 4096 + 4096 + 10_240
    assert read == {
        "count": 4, "failed": 0, "bytes": 14_337, "metered_sum": metered, "metered_min": 1, "metered_max": 10_240,
    }  # fmt: skip


@BOTH_BUILDS
def test_seconds_add_up_to_all_that_passed(front: Front) -> None:
    """Over some seconds' ends, with answers out of order and numbers as they are on the wire of a PC."""
    sent = {"read": 0, "write": 0}
    moved = {"read": 0, "write": 0}
    chance = random.Random(5)
    until = time.monotonic() + 2.2
    number = 0
    with front.open() as pair:
        while time.monotonic() < until:
            answers = []
            for _ in range(40):
                number += 1
                xid, size = int.from_bytes(number.to_bytes(4, "little"), "big"), chance.randint(1, 3000)
                kind = chance.choice(("read", "write"))
                pair.client.sendall(
                    nfs.record(nfs.read_call(xid, size) if kind == "read" else nfs.write_call(xid, bytes(size)))
                )
                answers.append(nfs.read_reply(xid, bytes(size)) if kind == "read" else nfs.write_reply(xid, size))
                sent[kind] += 1
                moved[kind] += size
            for _ in answers:
                assert receive_record(pair.server)
            chance.shuffle(answers)
            pair.pass_back(b"".join(map(nfs.record, answers)))
            time.sleep(0.01)
        seconds = front.counted()
    check_seconds(seconds)
    assert len([second for second in seconds if second["read"]["count"]]) >= 3
    for kind in ("read", "write"):
        counts = added_up(seconds, kind)
        assert (counts["count"], counts["bytes"], counts["failed"]) == (sent[kind], moved[kind], 0)


def test_seconds_are_whole_and_in_time(front: Front) -> None:
    """The second ends at t_unix_s: its line is not there before, and what passed is in the right one."""
    front.wait_until(bool)
    assert time.time() >= front.seconds[0]["t_unix_s"]
    with front.open() as pair:
        pair.pass_on(nfs.record(nfs.null_call(1)))
        before = int(time.time())
        pair.pass_back(nfs.record(nfs.null_reply(1)))
        front.settle()
        after = int(time.time())
        seconds = front.counted()
    (counted,) = [second["t_unix_s"] for second in seconds if second["other"]["count"]]
    assert before + 1 <= counted <= after + 1


def test_each_second_has_its_line_after_a_pause(front: Front) -> None:
    """What passed before is in its own, what passes afterwards in the last."""
    with front.open() as pair:
        for xid in (1, 2):
            pair.pass_on(nfs.record(nfs.null_call(xid)))
        pair.pass_back(nfs.record(nfs.null_reply(1)))
        front.settle()
        before = int(time.time())
        front.stop()
        pair.server.sendall(nfs.record(nfs.null_reply(2)))
        time.sleep(2.2)
        after = int(time.time())
        front.process.send_signal(signal.SIGCONT)
        assert receive_record(pair.client) == nfs.record(nfs.null_reply(2))
        seconds = front.counted()
    check_seconds(seconds)
    first, second = (second["t_unix_s"] for second in seconds if second["other"]["count"])
    assert first <= before + 1
    assert second >= after + 1


def test_connections_are_counted(front: Front) -> None:
    with front.open(), front.open():
        assert front.counted()[-1]["connections"] == 2
    front.wait_until(lambda seconds: seconds[-1]["connections"] == 0)


@BOTH_BUILDS
def test_nothing_is_early_and_replies_are_not_held(front: Front) -> None:
    """The delay, of every kind of call; a client's answers to the server's calls are none."""
    front.follow(delay_ns=50_000_000)
    with front.open() as pair:
        for message in (nfs.read_call(1, 5), nfs.write_call(2, b"five5"), nfs.null_call(3), b"garbage"):
            sent = time.monotonic()
            pair.pass_on(nfs.record(message))
            assert 0.05 <= time.monotonic() - sent < WAIT_SECONDS
        front.follow(delay_ns=HOUR_NS)
        pair.pass_back(nfs.record(nfs.read_reply(1, b"12345")))
        pair.pass_on(nfs.record(nfs.null_reply(500)))


def test_nothing_is_early_however_much_else_there_is_to_do(front: Front) -> None:
    front.follow(delay_ns=20_000_000)
    passing_by, held = nfs.record(nfs.null_reply(0)), nfs.record(nfs.read_call(1, 5))
    with front.open() as pair:
        for _ in range(10):
            sent = time.monotonic()
            pair.client.sendall(held)
            while True:
                pair.client.sendall(passing_by)
                got = receive_record(pair.server)
                if got == held:
                    break
                assert got == passing_by
            assert time.monotonic() - sent >= 0.02
            assert receive_record(pair.server) == passing_by


def test_the_delay_begins_with_the_last_byte(front: Front) -> None:
    front.follow(delay_ns=100_000_000)
    record = nfs.record(nfs.read_call(1, 5))
    with front.open() as pair:
        pair.client.sendall(record[:-1])
        time.sleep(0.15)
        sent = time.monotonic()
        pair.client.sendall(record[-1:])
        assert receive(pair.server, len(record)) == record
        assert time.monotonic() - sent >= 0.1


@pytest.mark.parametrize(
    ("limits", "messages", "seconds"),
    [
        ({"read_ops_per_s": 100}, [nfs.read_call(i, 1) for i in range(33)], 30 / 100),
        ({"write_ops_per_s": 100}, [nfs.write_call(i, b"w") for i in range(33)], 30 / 100),
        ({"bytes_per_s": 100_000}, [nfs.read_call(i, 1000) for i in range(33)], 30_000 / 100_000),
        (
            {"bytes_per_s": 100_000, "metering_minimum_bytes": 1000},
            [nfs.write_call(i, b"w") if i % 2 else nfs.read_call(i, 1) for i in range(33)],
            30_000 / 100_000,
        ),
    ],
    ids=["reads", "writes", "bytes", "metered bytes of both"],
)
def test_limits_hold_over_all_connections(
    front: Front, limits: dict[str, int], messages: list[bytes], seconds: float
) -> None:
    """The first three go at once, 20 ms of turns, each other one in its turn, whichever connection it came by."""
    front.follow(**limits)
    with front.open() as one, front.open() as two:
        began = time.monotonic()
        for i, message in enumerate(messages):
            (one, two)[i % 2].client.sendall(nfs.record(message))
        for i, message in enumerate(messages):
            record = nfs.record(message)
            assert receive((one, two)[i % 2].server, len(record)) == record
        assert time.monotonic() - began >= seconds


def test_a_kind_at_its_limit_keeps_no_other_waiting(front: Front) -> None:
    """The last of these READs would have its turn after a quarter of an hour. Each kind keeps its order."""
    front.follow(read_ops_per_s=1, write_ops_per_s=10**6, bytes_per_s=10**12)
    got: dict[str, list[int]] = {"read": [], "write": [], "other": []}
    with front.open() as pair:
        for xid in range(900):
            pair.client.sendall(nfs.record(nfs.read_call(xid, 1)))
        for xid in range(1000, 1100):
            pair.client.sendall(nfs.record(nfs.null_call(xid)) + nfs.record(nfs.write_call(xid + 1000, b"w" * 100)))
        while len(got["write"]) + len(got["other"]) < 200:
            xid = int.from_bytes(receive_record(pair.server)[4:8], "big")
            got["read" if xid < 1000 else "other" if xid < 2000 else "write"].append(xid)
    assert got["read"] == list(range(len(got["read"])))
    assert got["other"] == list(range(1000, 1100))
    assert got["write"] == list(range(2000, 2100))


def test_a_new_model_leaves_those_that_wait(front: Front) -> None:
    """They keep their time; what comes after passes them."""
    soon, never, late = (nfs.record(nfs.read_call(xid, 5)) for xid in (1, 2, 3))
    with front.open() as pair:
        sent = time.monotonic()
        for record, delay_ns in ((soon, 300_000_000), (never, HOUR_NS)):
            front.follow(delay_ns=delay_ns)
            pair.client.sendall(record)
            pair.settle()
        front.follow_none()
        pair.client.sendall(late)
        first, second = receive_record(pair.server), receive_record(pair.server)
        assert time.monotonic() - sent >= 0.3
    assert {first, second} == {soon, late}


MODEL = {"delay_ns": HOUR_NS, "read_ops_per_s": 1, "write_ops_per_s": 1, "bytes_per_s": 1, "metering_minimum_bytes": 1}
WITHOUT = {name: {key: value for key, value in MODEL.items() if key != name} for name in MODEL}


def model_with(**changes: object) -> str:
    return json.dumps({"model": MODEL | changes})


BAD_COMMANDS = {
    "nothing": ("", "byte 1: expected an object"),
    "no JSON": ("model", "byte 1: expected an object"),
    "a list": ("[]", "byte 1: expected an object"),
    "no field": ("{}", "byte 2: expected the field model"),
    "another field": ('{"modell":null}', "byte 2: expected the field model"),
    "no value": ('{"model":}', "expected null or an object"),
    "a number": ('{"model":5}', "expected null or an object"),
    "nullx": ('{"model":nullx}', "expected the end of the object"),
    "two fields": ('{"model":null,"model":null}', "expected the end of the object"),
    "something behind": ('{"model":null} x', "byte 16: expected the end of the line"),
    "unfinished": ('{"model":null', "expected the end of the object"),
    "an empty model": ('{"model":{}}', "expected a field of the model"),
    "an unknown field": (model_with(x=1), "no such field of the model; allowed: delay_ns, read_ops_per_s"),
    "a longer name": (model_with(delay_ns_=1), "no such field of the model"),
    "negative": (model_with(delay_ns=-1), "model.delay_ns: allowed: a whole number from 0 to 1000000000000"),
    "no delay": (model_with(delay_ns=None), "model.delay_ns: allowed: a whole number from 0 to 1000000000000"),
    "a fraction": (model_with(delay_ns=7.5), "model.delay_ns: allowed: a whole number"),
    "an exponent": (model_with(delay_ns=1e22), "model.delay_ns: allowed: a whole number"),
    "a string": (model_with(delay_ns="7"), "model.delay_ns: allowed: a whole number"),
    "true": (model_with(bytes_per_s=True), "model.bytes_per_s: allowed: a whole number"),
    "a leading zero": (model_with().replace('"delay_ns": ', '"delay_ns": 0'), "model.delay_ns: allowed"),
    "no operations": (model_with(read_ops_per_s=0), "model.read_ops_per_s: allowed: a whole number from 1 to 10"),
    "too many": (model_with(write_ops_per_s=10**12 + 1), "to 1000000000000, or null"),
    "far too many": (model_with(write_ops_per_s=10**30), "to 1000000000000, or null"),
    "no minimum": (model_with(metering_minimum_bytes=None), "model.metering_minimum_bytes: allowed: a whole number"),
    "twice": (model_with().replace("}}", ', "delay_ns": 5}}'), "model.delay_ns: given twice"),
    "a comma at the end": (model_with().replace("}}", ", }}"), "expected a field of the model"),
    "too long": (" " * 5000 + '{"model":null}', "more than 4096 bytes"),
    "a zero byte": ('{"model":null}\0', "zero byte"),
} | {f"without {name}": (json.dumps({"model": model}), f"model.{name}: not given") for name, model in WITHOUT.items()}


def test_what_is_no_command_changes_nothing(front: Front) -> None:
    """None of them sets the model that it holds, with which a call would be held far beyond the test's end."""
    for name, (line, reason) in BAD_COMMANDS.items():
        said = front.command(line)
        assert set(said) == {"kind", "reason"}, name
        assert said["kind"] == "error", name
        assert reason in said["reason"], name
    with front.open() as pair:
        pair.pass_on(nfs.record(nfs.read_call(1, 1)))


def test_commands(front: Front) -> None:
    """In any order of their fields, with space and without, several at once; each is answered as a whole."""
    efs = {"delay_ns": 7_000_000, "read_ops_per_s": 3500, "write_ops_per_s": 3000, "bytes_per_s": 104_857_600}
    efs["metering_minimum_bytes"] = 4096
    backwards = dict(reversed(efs.items()))
    free = dict.fromkeys(efs) | {"delay_ns": 0, "metering_minimum_bytes": 1}
    extreme = dict.fromkeys(efs, 10**12)
    for model in (efs, backwards, free, extreme, None):
        for text in (
            json.dumps({"model": model}),
            json.dumps({"model": model}, separators=(",", ":")),
            json.dumps({"model": model}, separators=(" , ", "\t: ")) + " \r",
        ):
            assert front.command(text) == {"kind": "model", "model": model}
    front.send_line('{"model":null}\n\n{"model": null}')
    assert [front.answer()["kind"] for _ in range(3)] == ["model", "error", "model"]


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    text=st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"]), max_size=60), cut=st.integers(0, 99)
)
def test_any_line_has_one_answer(passing: Front, text: str, cut: int) -> None:
    """And it is JSON, whatever was in the line."""
    answer = passing.command(model_with()[:cut] + text)
    assert answer["kind"] == "error"


def test_standard_input_may_be_a_file(binary: Path, tmp_path: Path) -> None:
    commands, said = tmp_path / "commands", tmp_path / "said"
    commands.write_text('{"model":null}\nx\n{"model":null}')
    words = [str(binary), "--listen", f"127.0.0.1:{free_port()}", "--upstream", "127.0.0.1:9"]
    with commands.open() as stdin, said.open("w") as stdout:
        subprocess.run(words, stdin=stdin, stdout=stdout, check=True, timeout=WAIT_SECONDS)
    lines = [json.loads(line) for line in said.read_text().splitlines()]
    assert [line["kind"] for line in lines] == ["ready", "model", "error"]  # a line without its end is none


def test_a_reader_that_is_away_holds_nothing_up(binary: Path) -> None:
    """Answers wait in memory, more of them than a pipe holds, and calls pass."""
    front = Front(binary)
    for i in range(1500):
        front.send_line(f"no command {i}, and nobody reads what is said to it")
    until = time.monotonic() + WAIT_SECONDS
    while True:  # until it listens
        with contextlib.suppress(ConnectionRefusedError):
            pair = front.open()
            break
        assert time.monotonic() < until
    with pair:
        pair.pass_on(nfs.record(nfs.read_call(1, 5)))
        pair.pass_back(nfs.record(nfs.read_reply(1, b"12345")))
    with front:
        assert [front.answer()["kind"] for _ in range(1500)] == ["error"] * 1500
        assert added_up(front.counted(), "read")["count"] == 1


def test_a_reader_that_has_gone_ends_it(binary: Path) -> None:
    words = [str(binary), "--listen", f"127.0.0.1:{free_port()}", "--upstream", "127.0.0.1:9"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b'{"kind":"ready"}\n'
        process.stdout.close()
        assert process.wait(WAIT_SECONDS) == -signal.SIGPIPE


def test_two_listeners(binary: Path) -> None:
    with Front(binary, listeners=2) as front, front.open(0) as one, front.open(1) as two:
        for pair in (one, two):
            pair.pass_on(nfs.record(nfs.read_call(1, 3)))
            pair.pass_back(nfs.record(nfs.read_reply(1, b"abc")))
        seconds = front.counted()
        assert added_up(seconds, "read")["count"] == 2
        assert seconds[-1]["connections"] == 2


def test_calls_wait_for_a_server_that_is_slow_to_accept(binary: Path) -> None:
    """The kernel takes one connection more than the backlog; the next is tried again after a second."""
    with Front(binary, backlog=0) as front, front.connect() as first, front.connect() as second:
        calls = nfs.record(nfs.read_call(1, 1)) + nfs.record(nfs.null_call(2))
        for client in (first, second):
            client.sendall(calls)
            client.shutdown(socket.SHUT_WR)
        for client in (first, second):
            with front.accept(client) as pair:
                assert receive(pair.server, len(calls) + 1) == calls


def test_a_server_that_refuses_ends_the_clients_connection(front: Front) -> None:
    address = front.server.getsockname()
    front.server.close()
    with front.connect() as client:
        client.sendall(nfs.record(nfs.read_call(1, 1)))
        assert has_ended(client)
    with socket.create_server(address) as server:
        front.server = server
        server.settimeout(WAIT_SECONDS)
        with front.open() as pair:
            pair.pass_on(nfs.record(nfs.read_call(1, 1)))


@pytest.mark.parametrize("delay_ns", [1_000_000_000, HOUR_NS], ids=["soon due", "never due"])
def test_a_client_that_resets_leaves_nothing(front: Front, delay_ns: int) -> None:
    """Of what it had waiting; others go on."""
    front.follow(delay_ns=delay_ns)
    with front.open() as gone, front.open() as stays:
        calls = (nfs.record(nfs.read_call(i, 1)) + nfs.record(nfs.null_call(i + 5000)) for i in range(2000))
        gone.client.sendall(b"".join(calls))  # at once: none of them is due before all have come
        gone.settle()
        gone.client.sendall(nfs.record(nfs.write_call(1, bytes(100_000)))[:50_000])
        reset(gone.client)
        while not has_ended(gone.server):
            pass
        if delay_ns == HOUR_NS:
            front.follow_none()
        stays.pass_on(nfs.record(nfs.read_call(1, 1)))
        front.wait_until(lambda seconds: bool(seconds) and seconds[-1]["connections"] == 1)


def test_a_server_that_resets_ends_the_clients_connection(front: Front) -> None:
    with front.open() as pair:
        pair.pass_on(nfs.record(nfs.read_call(1, 1)))
        reset(pair.server)
        assert has_ended(pair.client)


def test_a_client_that_has_sent_all_gets_its_replies(front: Front) -> None:
    """Its end passes after its calls, which are held; the server's end after its replies."""
    front.follow(delay_ns=100_000_000)
    records = [nfs.record(nfs.read_call(i, 1)) for i in range(100)]
    with front.open() as pair:
        pair.client.sendall(b"".join(records))
        pair.client.shutdown(socket.SHUT_WR)
        assert receive(pair.server, 10**6) == b"".join(records)  # up to the end
        replies = b"".join(nfs.record(nfs.read_reply(i, bytes(50_000))) for i in range(100))
        sender = send_beside(pair.server, replies, close=True)
        time.sleep(0.1)
        assert receive(pair.client, 10**8) == replies
        sender.join()
        front.wait_until(lambda seconds: bool(seconds) and seconds[-1]["connections"] == 0)
    assert added_up(front.counted(), "read")["bytes"] == 100 * 50_000


def test_a_server_that_has_sent_all_is_still_sent_to(front: Front) -> None:
    with front.open() as pair:
        pair.server.shutdown(socket.SHUT_WR)
        assert has_ended(pair.client)
        pair.pass_on(nfs.record(nfs.read_call(1, 1)))
        pair.client.close()
        assert has_ended(pair.server)


@pytest.mark.parametrize("side", ["client", "server"])
def test_a_record_that_is_too_long_ends_both(front: Front, side: str) -> None:
    with front.open() as pair:
        source, sink = (pair.client, pair.server) if side == "client" else (pair.server, pair.client)
        source.sendall(nfs.record(nfs.null_reply(1)) + nfs.u32(0x80000000 | nfs.RECORD_LIMIT_BYTES) + bytes(1000))
        assert has_ended(source)
        with contextlib.suppress(ConnectionResetError):
            while sink.recv(65536):
                pass
    front.wait_until(lambda seconds: bool(seconds) and seconds[-1]["connections"] == 0)


def test_an_end_within_a_record_ends_both(front: Front) -> None:
    with front.open() as pair:
        pair.client.sendall(nfs.record(nfs.null_call(1))[:-1])
        pair.client.shutdown(socket.SHUT_WR)
        assert has_ended(pair.server)
        assert has_ended(pair.client)


# A quarter of a GiB waits there, with the address sanitizer more of its own.
@pytest.mark.parametrize("binary", [PLAIN], indirect=True)
def test_a_client_with_too_much_in_the_queue_waits(front: Front) -> None:
    """Until the server takes some of it; another client goes on meanwhile."""
    record = nfs.record(nfs.write_call(1, bytes(nfs.MIB)))
    with front.open() as pair, front.open() as other:
        for _ in range(256):  # however slowly a busy machine takes them
            pair.client.sendall(record)
        more = send_until_blocked(pair.client, record)
        assert more < 40 * nfs.MIB  # what the sockets hold beside the queue
        sent = 256 * len(record) + more
        other.pass_on(nfs.record(nfs.null_call(1)))
        assert len(receive(pair.server, 50 * nfs.MIB)) == 50 * nfs.MIB
        rest = record[sent % len(record) :] + record * 10
        pair.client.sendall(rest)
        left = sent + len(rest) - 50 * nfs.MIB
        assert len(receive(pair.server, left)) == left


@pytest.mark.parametrize("binary", [PLAIN], indirect=True)
@pytest.mark.parametrize("waiting", ["for nothing", "for the client", "for the server", "for a turn"])
def test_it_sleeps_while_there_is_nothing_to_do(front: Front, waiting: str) -> None:
    """Over a second's end. Spinning would take all of a CPU's time, or what it gets of it."""
    record = nfs.record(nfs.write_call(1, bytes(nfs.MIB)))
    with front.open() as pair:
        if waiting == "for the client":
            send_until_blocked(pair.server, record)
        elif waiting == "for the server":
            send_until_blocked(pair.client, record)
        elif waiting == "for a turn":  # and nothing else: both have sent all that they will
            front.follow(delay_ns=HOUR_NS)
            pair.client.sendall(record)
            pair.client.shutdown(socket.SHUT_WR)
            pair.server.shutdown(socket.SHUT_WR)
            assert has_ended(pair.client)
        used = front.cpu_seconds()
        time.sleep(1.1)
        assert front.cpu_seconds() - used < 0.1


def test_end_of_input_ends_it_whatever_waits(binary: Path) -> None:
    with Front(binary) as front:
        front.follow(delay_ns=HOUR_NS)
        pairs = [front.open() for _ in range(3)]
        for pair in pairs:
            pair.client.sendall(nfs.record(nfs.read_call(1, 1)) * 50)
            pair.settle()
            pair.client.sendall(nfs.record(nfs.write_call(1, bytes(100_000)))[:50_000])
    # `with Front` has seen its code and that no sanitizer spoke
    for pair in pairs:
        assert has_ended(pair.server)
        assert has_ended(pair.client)
        pair.client.close()
        pair.server.close()


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ([], "--listen: not given"),
        (["--listen", "127.0.0.1:1"], "--upstream: not given"),
        (["--upstream", "127.0.0.1:1"], "--listen: not given"),
        (["--listen"], "--listen: got no value"),
        (["--upstream", "127.0.0.1:1", "--upstream", "127.0.0.1:1"], "--upstream: given twice"),
        (["--port", "5"], "--port: no such flag; allowed: --listen, --upstream, --help"),
        (["--a\nb"], "--a?b: no such flag"),
        *(
            (["--listen", address], f'--listen: got "{address}"; allowed: an IPv4 address and a port from 1 to 65535')
            for address in (
                "", ":", "127.0.0.1", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:65536", "127.0.0.1:99999999999",
                "127.0.0.1:+5", "127.0.0.1:5x", "localhost:5", "[::1]:5", "256.0.0.1:5", "1.2.3:5", ":5",
                "127.0.0.1.127.0.0.1.127.0.0.1:5",
            )
        ),
    ],
)  # fmt: skip
def test_refused_arguments(binary: Path, words: list[str], reason: str) -> None:
    done = subprocess.run([str(binary), *words], check=False, capture_output=True, text=True, timeout=WAIT_SECONDS)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"mount-target: {reason}")
    assert done.stderr.count("\n") == 1
    assert done.stderr.endswith("\n")


def test_an_address_that_is_taken(binary: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        words = [str(binary), "--listen", address, "--upstream", "127.0.0.1:9"]
        done = subprocess.run(words, check=False, capture_output=True, text=True, timeout=WAIT_SECONDS)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"mount-target: --listen: {address}: {os.strerror(98)}\n"


def test_help(binary: Path) -> None:
    done = subprocess.run([str(binary), "--help"], check=True, capture_output=True, text=True, timeout=WAIT_SECONDS)
    for word in ("--listen", "--upstream", *MODEL):
        assert word in done.stdout
