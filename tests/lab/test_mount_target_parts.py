"""What the mount target's front end decides: when a call is due, what a message is, which reply is whose."""

from __future__ import annotations

import math
import random
import subprocess
from collections import Counter
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.lab import nfs_messages as nfs
from tests.lab.mount_target import SOURCE

NS_PER_SECOND = 10**9
MOST = 10**12
TURNS_KEPT_NS = 20_000_000


@pytest.fixture(scope="session")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With the sanitizers: each property below is also one of memory."""
    program = tmp_path_factory.mktemp("parts") / "mount-target-parts"
    sources = [SOURCE / f"{name}.c" for name in ("framing", "pending", "refuse", "rpc", "service")]
    command = ["gcc", "-std=c11", "-D_GNU_SOURCE", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    command += ["-I", str(SOURCE), "-o", str(program), str(Path(__file__).parent / "mount_target_parts.c")]
    subprocess.run([*command, *map(str, sources)], check=True)
    return program


def ask(program: Path, lines: list[str]) -> list[str]:
    done = subprocess.run([str(program)], input="\n".join(lines) + "\n", capture_output=True, text=True, check=True)
    return [line.rstrip() for line in done.stdout.splitlines()]


class Turns:
    """The arithmetic of the service model once more, with fractions."""

    def __init__(self) -> None:
        self.rate: int | None = None
        self.next = Fraction(0)

    def set_rate(self, rate: int | None) -> None:
        self.rate = rate
        self.next = Fraction(math.ceil(self.next))

    def take(self, start: int, units: int) -> int:
        if self.rate is None:
            return start
        turn = max(Fraction(start - TURNS_KEPT_NS), self.next)
        self.next = turn + Fraction(units * NS_PER_SECOND, self.rate)
        return max(math.ceil(turn), start)


class Service:
    def __init__(self) -> None:
        self.model: dict[str, int | None] | None = None
        self.turns = {"read": Turns(), "write": Turns(), "bytes": Turns()}
        self.last = dict.fromkeys(("read", "write", "other"), 0)

    def follow(self, model: dict[str, int | None] | None) -> None:
        self.model = model
        if model is not None:
            for name, turns in self.turns.items():
                turns.set_rate(model[name])

    def due(self, kind: str, moved: int, arrival: int) -> int:
        if self.model is None:
            return arrival
        delay, minimum = self.model["delay"], self.model["minimum"]
        assert delay is not None
        assert minimum is not None
        start = arrival + delay
        times = [start, self.last[kind]]
        if kind != "other":
            times += [self.turns[kind].take(start, 1), self.turns["bytes"].take(start, max(moved, minimum))]
        self.last[kind] = max(times)
        return self.last[kind]


def line_of(model: dict[str, int | None] | None) -> str:
    if model is None:
        return "none"
    return " ".join(["model", *(str(model[name] or 0) for name in ("delay", "read", "write", "bytes", "minimum"))])


LIMITS = st.none() | st.integers(1, 10_000) | st.integers(1, MOST)
MODELS = st.fixed_dictionaries(
    {
        "delay": st.integers(0, NS_PER_SECOND) | st.just(7_000_000),
        "read": LIMITS,
        "write": LIMITS,
        "bytes": st.none() | st.integers(1000, MOST) | st.just(104_857_600),
        "minimum": st.sampled_from([1, 4096, 32768]),
    }
)
CALLS = st.tuples(
    st.sampled_from(["read", "write", "other"]),
    st.sampled_from([0, 1, 1024, 4096, 10_240, nfs.MIB, 2**32 - 1]) | st.integers(0, 2**32 - 1),
    st.sampled_from([0, 0, 0, 1, 285_714]) | st.integers(0, NS_PER_SECOND),
)
STEPS = st.lists(MODELS | st.none() | st.lists(CALLS, min_size=1, max_size=30), min_size=1, max_size=8)


@given(steps=STEPS)
def test_due_times_are_exact(
    parts: Path, steps: list[dict[str, int | None] | list[tuple[str, int, int]] | None]
) -> None:
    service, lines, expected = Service(), [], []
    now = 10**15
    for step in steps:
        if isinstance(step, list):
            for kind, moved, pause in step:
                now += pause
                lines.append(f"due {kind} {moved} {now}")
                expected.append(str(service.due(kind, moved, now)))
        else:
            service.follow(step)
            lines.append(line_of(step))
    assert ask(parts, lines) == expected


EFS_2018: dict[str, int | None] = {
    "delay": 7_000_000, "read": 3500, "write": 3000, "bytes": 104_857_600, "minimum": 4096,
}  # fmt: skip
NO_OPERATION_LIMITS = EFS_2018 | {"read": None, "write": None}


@pytest.mark.parametrize(
    ("model", "kind", "moved", "per_second"),
    [
        (EFS_2018, "read", 1, Fraction(3500)),
        (EFS_2018, "write", 10_240, Fraction(3000)),
        (EFS_2018, "read", nfs.MIB, Fraction(100)),
        (NO_OPERATION_LIMITS, "write", 1, Fraction(25_600)),
        (NO_OPERATION_LIMITS, "read", 4097, Fraction(104_857_600, 4097)),
    ],
    ids=["read operations", "write operations", "bytes", "the minimum of bytes", "bytes just above the minimum"],
)
def test_a_backlog_goes_at_exactly_the_rate(
    parts: Path, model: dict[str, int | None], kind: str, moved: int, per_second: Fraction
) -> None:
    due = [int(line) for line in ask(parts, [line_of(model)] + [f"due {kind} {moved} {NS_PER_SECOND}"] * 60_001)]
    first = NS_PER_SECOND + 7_000_000
    turns = [first - TURNS_KEPT_NS + math.ceil(n * NS_PER_SECOND / per_second) for n in range(60_001)]
    assert due == [max(first, turn) for turn in turns], "those of 20 ms at once, then one after the other"


def test_an_idle_hour_saves_up_no_more_than_an_idle_moment(parts: Path) -> None:
    """After it twenty calls at a thousand a second go at once, and one more in whose turn it is."""
    hour = 3600 * NS_PER_SECOND
    due = ask(parts, ["model 0 1000 0 0 1", f"due read 1 {NS_PER_SECOND}", *[f"due read 1 {hour}"] * 23])
    assert due == [str(NS_PER_SECOND), *[str(hour)] * 21, "3600001000000", "3600002000000"]


def test_a_new_model_takes_its_turns_after_those_dealt_out(parts: Path) -> None:
    lines = ["model 0 10 0 0 1", *["due read 1 5"] * 3, "model 0 1000 0 0 1", *["due read 1 6"] * 2]
    assert ask(parts, lines) == ["5", "100000000", "200000000", "300000000", "301000000"]


def test_what_is_left_of_a_nanosecond_is_not_taken_to_another_rate(parts: Path) -> None:
    """Of a thousandth of one, at a trillion a second, which would be a second at one a second."""
    lines = ["model 0 1000000000000 0 0 1", "due read 1 0", "model 0 1 0 0 1", *["due read 1 0"] * 2]
    assert ask(parts, lines) == ["0", "1", "1000000001"]


def test_a_shorter_delay_lets_no_call_of_a_kind_overtake(parts: Path) -> None:
    lines = ["model 1000 0 0 0 1", "due other 0 0", "model 10 0 0 0 1", "due other 0 1", "due read 1 1"]
    assert ask(parts, lines) == ["1000", "1000", "11"]


def test_centuries_of_backlog_do_not_overflow(parts: Path) -> None:
    lines = ["model 1000000000000 0 0 1 1000000000000", *["due write 1 1"] * 3]
    assert ask(parts, lines) == ["1000000000001", str(2**63 - 1), str(2**63 - 1)]


def described(record: bytes, kind: str, what: str, xid: int, moved: int) -> str:
    return f"{len(record)}:{kind}:{what}:{xid}:{moved}"


CLASSES = {
    "read": (nfs.read_call(1, 10_240), "read", 10_240),
    "write": (nfs.write_call(1, b"x" * 1025), "write", 1025),
    "write of nothing": (nfs.write_call(1, b""), "write", 0),
    "write of a MiB": (nfs.write_call(1, bytes(nfs.MIB)), "write", nfs.MIB),
    "read without credential": (
        nfs.call(1, nfs.sequence(), nfs.putfh(), nfs.read(5), credential=nfs.NULL_CREDENTIAL), "read", 5,
    ),
    "the longest of everything in front": (
        nfs.call(
            1, nfs.sequence(), nfs.putfh(bytes(128)), nfs.write(bytes(nfs.MIB)),
            credential=nfs.u32(1) + nfs.opaque(bytes(400)), tag=bytes(1024),
        ), "write", nfs.MIB,
    ),
    "odd tag": (nfs.call(1, nfs.sequence(), nfs.putfh(), nfs.read(5), tag=b"tag"), "read", 5),
    "two file handles": (nfs.call(1, nfs.sequence(), nfs.putfh(), nfs.putfh(b""), nfs.read(5)), "read", 5),
    "no SEQUENCE": (nfs.call(1, nfs.putfh(), nfs.read(5)), "read", 5),
    "only the first counts": (nfs.call(1, nfs.sequence(), nfs.putfh(), nfs.read(5), nfs.read(7)), "read", 5),
    "GETATTR in front": (nfs.call(1, nfs.sequence(), nfs.putfh(), nfs.getattr_(), nfs.read(5)), "other", 0),
    "GETATTR alone": (nfs.call(1, nfs.sequence(), nfs.putfh(), nfs.getattr_()), "other", 0),
    "nothing after PUTFH": (nfs.call(1, nfs.sequence(), nfs.putfh()), "other", 0),
    "no operations": (nfs.call(1), "other", 0),
    "NULL": (nfs.null_call(1), "other", 0),
    "another program": (nfs.call(1, nfs.sequence(), nfs.putfh(), nfs.read(5), program=100005), "other", 0),
    "NFS 3": (nfs.call(1, nfs.sequence(), nfs.putfh(), nfs.read(5), version=3), "other", 0),
    "RPC 3": (nfs.call(1, nfs.sequence(), nfs.putfh(), nfs.read(5), rpc_version=3), "other", 0),
    "credential too long": (
        nfs.call(1, nfs.sequence(), nfs.putfh(), nfs.read(5), credential=nfs.u32(1) + nfs.opaque(bytes(404))),
        "other", 0,
    ),
    "file handle too long": (nfs.call(1, nfs.sequence(), nfs.putfh(bytes(132)), nfs.read(5)), "other", 0),
    "tag beyond what is kept": (nfs.call(1, nfs.putfh(), nfs.read(5), tag=bytes(4096)), "other", 0),
    "length beyond the record": (nfs.write_call(1, bytes(64))[:-32], "other", 0),
    "lengths that would overflow": (nfs.call(1, nfs.u32(nfs.PUTFH, 0xFFFFFFFF), nfs.read(5)), "other", 0),
}  # fmt: skip


@pytest.mark.parametrize("name", CLASSES)
def test_calls_are_told_apart(parts: Path, name: str) -> None:
    message, kind, moved = CLASSES[name]
    record = nfs.record(message)
    assert ask(parts, ["calls " + record.hex()]) == [described(record, kind, "call", 1, moved)]


def test_what_is_no_call(parts: Path) -> None:
    for message, what, xid in (
        (nfs.null_reply(9), "reply", 9),
        (nfs.u32(9, 2, 2), "neither", 9),
        (nfs.u32(9), "neither", 9),
        (b"abc", "neither", 0),
        (b"", "neither", 0),
    ):
        record = nfs.record(message)
        assert ask(parts, ["calls " + record.hex()]) == [described(record, "other", what, xid, 0)]


@pytest.mark.parametrize("message", [nfs.read_call(3, 4096), nfs.write_call(3, b"0123456789")], ids=["read", "write"])
def test_a_call_that_was_cut_short_is_another(parts: Path, message: bytes) -> None:
    """Of a WRITE, all up to the end of its data is needed; what follows is not looked at."""
    needed = len(message) if nfs.getattr_() not in message else len(message) - len(nfs.getattr_())
    kind, moved = ("read", 4096) if needed == len(message) else ("write", 10)
    answers = ask(parts, ["calls " + nfs.record(message[:length]).hex() for length in range(8, len(message) + 1)])
    kinds = [answer.split(":")[1] for answer in answers]
    assert kinds == ["other"] * (needed - 8) + [kind] * (len(message) + 1 - needed)
    assert answers[-1] == described(nfs.record(message), kind, "call", 3, moved)


@given(noise=st.binary(max_size=300), keep=st.integers(0, 140), tail=st.booleans())
def test_noise_is_never_more_than_a_call(parts: Path, noise: bytes, keep: int, tail: bool) -> None:
    """The beginning of a good message and then anything: an answer, and no read outside of it (the sanitizers look)."""
    message = nfs.write_call(3, b"0123456789" * 4)
    message = message[:keep] + noise + (message[keep:] if tail else b"")
    record = nfs.record(message)
    replies = nfs.record(nfs.write_reply(3, 5)[:keep] + noise)
    answer, first, second = ask(
        parts, ["calls " + record.hex(), f"result read {replies.hex()}", f"result write {replies.hex()}"]
    )
    assert answer.startswith(f"{len(record)}:")
    assert {first.split()[0], second.split()[0]} <= {"ok", "failed"}


MESSAGES = [nfs.read_call(1, 512), nfs.write_call(2, b"w" * 333), nfs.null_call(3), nfs.null_reply(4), b"", b"garbage"]
DESCRIPTIONS = [("read", "call", 1, 512), ("write", "call", 2, 333), ("other", "call", 3, 0), ("other", "reply", 4, 0)]
DESCRIPTIONS += [("other", "neither", 0, 0), ("other", "neither", int.from_bytes(b"garb", "big"), 0)]


def split(data: bytes, cuts: list[int]) -> list[bytes]:
    ends = [*sorted({cut % len(data) for cut in cuts} - {0}), len(data)]
    return [data[start:end] for start, end in zip([0, *ends[:-1]], ends, strict=True)]


@given(
    which=st.lists(st.integers(0, len(MESSAGES) - 1), min_size=1, max_size=6),
    fragments=st.lists(st.integers(0, 10**6), max_size=8),
    chunks=st.lists(st.integers(0, 10**6), max_size=20),
)
def test_records_are_found_in_any_fragments_and_chunks(
    parts: Path, which: list[int], fragments: list[int], chunks: list[int]
) -> None:
    records = [
        nfs.record(MESSAGES[i], [cut % (len(MESSAGES[i]) + 1) for cut in fragments[n:]]) for n, i in enumerate(which)
    ]
    expected = [described(record, *DESCRIPTIONS[i]) for record, i in zip(records, which, strict=True)]
    line = "calls " + " ".join(chunk.hex() for chunk in split(b"".join(records), chunks))
    assert ask(parts, [line]) == [" ".join(expected)]


def test_records_are_found_with_a_cut_at_each_byte(parts: Path) -> None:
    """Of the stream, and of the message into fragments, one byte each at last."""
    message = MESSAGES[1]
    whole = nfs.record(message, [0, 0, 40, 41])
    lines = [f"calls {whole[:cut].hex()} {whole[cut:].hex()}" for cut in range(1, len(whole))]
    assert ask(parts, lines) == [described(whole, *DESCRIPTIONS[1])] * len(lines)
    fragmented = [nfs.record(message, [cut]) for cut in range(len(message) + 1)]
    fragmented.append(nfs.record(message, range(len(message))))
    expected = [described(record, *DESCRIPTIONS[1]) for record in fragmented]
    assert ask(parts, ["calls " + record.hex() for record in fragmented]) == expected
    assert ask(parts, ["calls " + " ".join(f"{byte:02x}" for byte in fragmented[-1])]) == expected[-1:]


def test_records_have_a_limit(parts: Path) -> None:
    """Marks included, and whether it comes in one fragment or in many."""
    room = nfs.RECORD_LIMIT_BYTES - 4
    almost = nfs.u32(room - 8) + bytes(room - 8)
    full = almost + nfs.u32(0x80000004) + bytes(4)
    cases = [
        (nfs.u32(0x80000000 | room), "unfinished"),
        (nfs.u32(0x80000000 | room + 1), "too long"),
        (nfs.u32(0x7FFFFFFF), "too long"),
        (full, described(full, "other", "call", 0, 0)),
        (almost + nfs.u32(0x80000005), "too long"),
        (bytes(nfs.RECORD_LIMIT_BYTES), "unfinished"),  # fragments of no bytes
        (bytes(nfs.RECORD_LIMIT_BYTES + 4), "too long"),
    ]
    assert ask(parts, ["calls " + stream.hex() for stream, _ in cases]) == [said for _, said in cases]


RESULTS = {
    "read": ("read", nfs.read_reply(1, b"d" * 999), "ok 999"),
    "read a MiB": ("read", nfs.read_reply(1, bytes(nfs.MIB)), f"ok {nfs.MIB}"),
    "read at the end of the file": ("read", nfs.read_reply(1, b"", end_of_file=True), "ok 0"),
    "write": ("write", nfs.write_reply(1, 77), "ok 77"),
    "a later operation fails": (
        "write",
        nfs.reply(
            1, nfs.sequence_result(), nfs.putfh_result(), nfs.write_result(5), nfs.u32(nfs.GETATTR, 70), status=70
        ),
        "ok 5",
    ),
    "tag": (
        "read", nfs.reply(1, nfs.sequence_result(), nfs.putfh_result(), nfs.read_result(b"ab"), tag=b"tag"), "ok 2",
    ),
    "read fails": (
        "read", nfs.reply(1, nfs.sequence_result(), nfs.putfh_result(), nfs.u32(nfs.READ, 70), status=70), "failed",
    ),
    "PUTFH fails": ("read", nfs.reply(1, nfs.sequence_result(), nfs.putfh_result(70), status=70), "failed"),
    "SEQUENCE fails": ("write", nfs.reply(1, nfs.sequence_result(10052), status=10052), "failed"),
    "the other operation": ("write", nfs.read_reply(1, b"abc"), "failed"),
    "no results": ("write", nfs.reply(1), "failed"),
    "not accepted": ("read", nfs.denied(1), "failed"),
    "no such procedure": ("read", nfs.reply(1, nfs.sequence_result(), accept=3), "failed"),
    "data beyond the record": ("read", nfs.read_reply(1, b"d" * 64)[:-32], "failed"),
    "cut short": ("write", nfs.write_reply(1, 77)[:80], "failed"),
}  # fmt: skip


@pytest.mark.parametrize("name", RESULTS)
def test_results(parts: Path, name: str) -> None:
    kind, message, expected = RESULTS[name]
    assert ask(parts, [f"result {kind} {nfs.record(message).hex()}"]) == [expected]


@given(
    xids=st.lists(st.integers(0, 40) | st.integers(0, 2**32 - 1), max_size=200),
    first=st.integers(0, 2**32 - 1),
    seed=st.integers(),
)
def test_each_reply_finds_its_call(parts: Path, xids: list[int], first: int, seed: int) -> None:
    """Also where numbers come twice, or count up in the highest byte, as they do on the wire."""
    xids += [(first + (n << 24)) % 2**32 for n in range(300)]
    chance = random.Random(seed)
    calls = [(xid, ("read", "write", "other")[xid % 3]) for xid in xids]
    words, expected = [], []
    waiting: Counter[int] = Counter()
    for xid, kind in calls:
        words.append(f"+{xid}:{kind}")
        waiting[xid] += 1
        if chance.random() < 0.7:
            asked = chance.choice(list(waiting)) if chance.random() < 0.9 else chance.getrandbits(32)
            words.append(f"-{asked}")
            expected.append(("read", "write", "other")[asked % 3] if waiting[asked] > 0 else "none")
            if waiting[asked] > 0:
                waiting[asked] -= 1
    assert ask(parts, ["pending " + " ".join(words)]) == [" ".join([*expected, str(waiting.total())])]
