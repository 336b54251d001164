"""Reading /proc/self/mountstats, against the kernel's text and against nfsiostat's own code."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import io
import itertools
import re
import sys
from collections.abc import Callable
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.workloads.fakes import recorded
from workloads.efs_iops import mountstats
from workloads.efs_iops.mountstats import MountStats, Operation, ParseError

BEFORE, AFTER = "mountstats-before.txt", "mountstats-after.txt"
POINT = "/mnt/efs"
NFSIOSTAT = Path("/usr/sbin/nfsiostat")  # nfs-common of Debian

SMALL = """\
device proc mounted on /proc with fstype proc
device 10.20.1.20:/ mounted on /mnt/efs with fstype nfs4 statvers=1.1
\topts:\trw,vers=4.1,rsize=1048576,hard,proto=tcp
\tage:\t61
\timpl_id:\tname='',domain='',date='0,0'
\tcaps:\tcaps=0x1fffdf,wtmult=512,bsize=0
\tnfsv4:\tbm0=0xfdffbfff,sessions,pnfs=not configured,lease_time=90
\tsec:\tflavor=1,pseudoflavor=1
\tevents:\t1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27
\tbytes:\t1 2 3 4 5 6 7 8
\tRPC iostats version: 1.1  p/v: 100003/4 (nfs)
\txprt:\ttcp 865 1 1 0 -1 500 499 2 900 0 41 7 8
\tper-op statistics
\t        NULL: 1 1 0 44 24 0 0 0 0
\t        READ: 100 103 1 20480 123456 50 700 800 2
\t       WRITE: 0 0 0 0 0 0 0 0 0
"""


def small(*changes: tuple[str, str]) -> str:
    """SMALL with some of its words replaced."""
    text = SMALL
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return text


def test_every_number_comes_to_its_name() -> None:
    stats = mountstats.parse(SMALL, POINT)
    assert stats.record(1700000000.25, "client-1") == {
        "t_unix_s": 1700000000.25,
        "host": "client-1",
        "age_s": 61,
        "bytes": {
            "normal_read": 1,
            "normal_write": 2,
            "direct_read": 3,
            "direct_write": 4,
            "server_read": 5,
            "server_write": 6,
            "pages_read": 7,
            "pages_written": 8,
        },
        "transport": {"protocol": "tcp", "sends": 500, "receives": 499, "bad_xids": 2},
        "ops": {
            "NULL": dataclasses.asdict(Operation(1, 1, 0, 44, 24, 0, 0, 0, 0)),
            "READ": {
                "operations": 100,
                "transmissions": 103,
                "major_timeouts": 1,
                "bytes_sent": 20480,
                "bytes_received": 123456,
                "queue_ms": 50,
                "rtt_ms": 700,
                "execute_ms": 800,
                "errors": 2,
            },
        },
    }


def test_before_linux_5_3_errors_are_not_known() -> None:
    old = re.sub(r"^(\t +[A-Z]+:(?: \d+){8}) \d+$", r"\1", small(("version: 1.1", "version: 1.0")), flags=re.MULTILINE)
    stats = mountstats.parse(old, POINT)
    assert stats.operations["READ"] == Operation(100, 103, 1, 20480, 123456, 50, 700, 800, None)
    assert stats.record(0.0, "client-1")["ops"]["READ"]["errors"] is None


def test_statvers_1_0_has_no_pages() -> None:
    old = small(("statvers=1.1", "statvers=1.0"), ("bytes:\t1 2 3 4 5 6 7 8", "bytes:\t1 2 3 4 5 6"))
    found = mountstats.parse(old, POINT).bytes
    assert list(found) == list(mountstats.BYTES)
    assert list(found.values()) == [1, 2, 3, 4, 5, 6, None, None]


def test_a_version_that_is_not_known_is_not_taken_for_one_that_is() -> None:
    with pytest.raises(mountstats.ParseError, match=r"^/mnt/efs: statvers 2\.0 is not known, 1\.0 and 1\.1 are$"):
        mountstats.parse(small(("statvers=1.1", "statvers=2.0")), POINT)


def test_transports() -> None:
    """Each protocol has its counters in other places."""
    tcp = "\txprt:\ttcp 865 1 1 0 -1 500 499 2 900 0 41 7 8\n"
    rdma = "\txprt:\trdma 0 0 3 0 0 113031 111921 4 5 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14\n"
    udp = "\txprt:\tudp 865 1 500 498 3 900 0 2 7 8\n"
    second = "\txprt:\ttcp 866 1 1 0 12 40 30 1 0 0 2 0 0\n"
    for lines, protocol, sends, receives, bad_xids in (
        (rdma, "rdma", 113031, 111921, 4),
        (udp, "udp", 500, 498, 3),
        (tcp + second, "tcp", 540, 529, 3),
    ):
        expected = {"protocol": protocol, "sends": sends, "receives": receives, "bad_xids": bad_xids}
        assert mountstats.parse(small((tcp, lines)), POINT).transport == expected


def test_a_mount_is_found_among_others() -> None:
    other = small(("mounted on /mnt/efs", "mounted on /mnt/my\\040data"), ("READ: 100 103", "READ: 7 7"))
    text = SMALL + "\n" + other
    assert mountstats.parse(text, POINT).operations["READ"].operations == 100
    assert mountstats.parse(text, "/mnt/efs/").operations["READ"].operations == 100
    assert mountstats.parse(text, "/mnt/my data").operations["READ"].operations == 7


def test_of_mounts_upon_each_other_the_last_is_seen() -> None:
    text = SMALL + small(("READ: 100 103", "READ: 7 7"))
    assert mountstats.parse(text, POINT).operations["READ"].operations == 7


@pytest.mark.parametrize(
    ("text", "point", "says"),
    [
        (SMALL, "/mnt/other", r"^nothing is mounted at /mnt/other; NFS is mounted at /mnt/efs$"),
        (SMALL.splitlines()[0], POINT, r"^nothing is mounted at /mnt/efs; NFS is mounted at no place$"),
        ("", POINT, r"NFS is mounted at no place"),
        (SMALL, "/proc", r"^/proc is a mount of proc, not of NFS$"),
        ("hello\n" + SMALL, POINT, r"^not /proc/self/mountstats: 'hello'$"),
        (small(("version: 1.1", "version: 2.0")), POINT, r"version 2.0 is not known, 1.0 and 1.1 are$"),
        (small(("xprt:\ttcp", "xprt:\tlocal")), POINT, r"should be a transport of rdma, tcp, udp$"),
        (small(("500 499 2 900 0 41 7 8", "500 499")), POINT, r"should be 3 or more whole numbers$"),
        (small(("READ: 100", "READ: many")), POINT, r"'READ: many.*' should be an operation with eight or nine"),
        (small((" 700 800 2\n", " 700\n")), POINT, r"should be an operation with eight or nine whole numbers$"),
        (SMALL.removesuffix(" 0\n"), POINT, r"cut short in WRITE"),
        (
            SMALL[: SMALL.index("\t        NULL")],
            POINT,
            r"^/mnt/efs: mountstats was cut short before per-op statistics$",
        ),
        (SMALL[: SMALL.index("\txprt")], POINT, r"cut short before xprt$"),
        (small(("\tage:\t61\n", "")), POINT, r"cut short before age$"),
        (small(("age:\t61", "age:\told")), POINT, r"'age: old' should be 1 or more whole numbers$"),
        (small(("\tbytes:\t1 2 3 4 5 6 7 8\n", "")), POINT, r"cut short before bytes$"),
        (small(("bytes:\t1 2 3 4 5 6 7 8", "bytes:\t1 2")), POINT, r"should be 6 or more whole numbers$"),
    ],
)
def test_another_text_is_one_line(text: str, point: str, says: str) -> None:
    with pytest.raises(ParseError, match=says) as caught:
        mountstats.parse(text, point)
    assert "\n" not in str(caught.value)


def test_a_text_cut_anywhere_is_refused_or_whole_in_what_it_has() -> None:
    """A number that lost its last digits can't be told from another; whatever else is missing is seen."""
    whole = mountstats.parse(SMALL, POINT)
    taken = 0
    for length in range(len(SMALL)):
        try:
            stats = mountstats.parse(SMALL[:length], POINT)
        except ParseError:
            continue
        taken += 1
        assert dataclasses.replace(stats, operations={}) == dataclasses.replace(whole, operations={})
        *complete, _last = stats.operations
        assert all(stats.operations[name] == whole.operations[name] for name in complete)
    assert taken < len(SMALL) / 5


def test_a_real_mount() -> None:
    """Recorded on Linux 6.1 with NFS 4.1 while something wrote."""
    text = recorded(AFTER)
    stats = mountstats.parse(text, POINT)
    assert stats.transport["protocol"] == "tcp"
    written = re.search(r"^\s+WRITE: (.+)$", text, flags=re.MULTILINE)
    assert written is not None
    operations, transmissions, *_, errors = (int(word) for word in written.group(1).split())
    assert (stats.operations["WRITE"].operations, stats.operations["WRITE"].errors) == (operations, errors)
    assert transmissions >= operations > 0
    assert set(stats.record(0.0, "client-1")["ops"]) == {
        name for name, count in re.findall(r"^\s+([A-Z_]+): (\d+) ", text, flags=re.MULTILINE) if count != "0"
    }
    before = mountstats.parse(recorded(BEFORE), POINT)
    assert stats.operations["WRITE"].operations > before.operations["WRITE"].operations


@dataclasses.dataclass(frozen=True)
class Rate:
    """What nfsiostat shows of one operation between two readings; quotients of no operations are None."""

    operations: int
    ops_per_s: float
    kib_per_s: float
    kib_per_op: float | None
    retransmissions: int
    retransmissions_percent: float | None
    rtt_ms: float | None
    execute_ms: float | None
    queue_ms: float | None
    errors: int | None
    errors_percent: float | None


def rates(before: MountStats, after: MountStats, seconds: float) -> dict[str, Rate]:
    """What nfsiostat computes from the counters of two readings `seconds` apart, by operation.

    Its kB are 1024 bytes, of whole calls and replies.
    """
    return {name: _rate(before.operations[name], later, seconds) for name, later in after.operations.items()}


def _rate(before: Operation, after: Operation, seconds: float) -> Rate:
    operations = after.operations - before.operations
    retransmissions = after.transmissions - before.transmissions - operations
    moved = after.bytes_sent - before.bytes_sent + after.bytes_received - before.bytes_received
    errors = None if after.errors is None else after.errors - (before.errors or 0)
    kib = moved / 1024

    def per_op(amount: float) -> float | None:
        return amount / operations if operations else None

    return Rate(
        operations=operations,
        ops_per_s=operations / seconds,
        kib_per_s=kib / seconds,
        kib_per_op=per_op(kib),
        retransmissions=retransmissions,
        retransmissions_percent=per_op(retransmissions * 100),
        rtt_ms=per_op(after.rtt_ms - before.rtt_ms),
        execute_ms=per_op(after.execute_ms - before.execute_ms),
        queue_ms=per_op(after.queue_ms - before.queue_ms),
        errors=errors,
        errors_percent=None if errors is None else per_op(errors * 100),
    )


Shown = dict[str, list[str]]
Nfsiostat = Callable[[str, str | None, float], Shown]
# The figures run into each other where one is wider than its column; all have three decimals.
VALUES = re.compile(
    r" *(-?\d+\.\d{3})" * 3
    + r" *(-?\d+) \( *(-?\d+\.\d)%\)"
    + r" *(-?\d+\.\d{3})" * 3
    + r"(?: *(-?\d+) \( *(-?\d+\.\d)%\))?"
)


@pytest.fixture(scope="module")
def nfsiostat(tmp_path_factory: pytest.TempPathFactory) -> Nfsiostat:
    """What the real nfsiostat prints of the mount between two texts, or since the mount: figures by operation."""
    if not NFSIOSTAT.is_file():
        pytest.skip(f"{NFSIOSTAT} is not on this machine (apt-get install nfs-common)")
    script = load_nfsiostat()
    file = tmp_path_factory.mktemp("nfsiostat") / "mountstats"

    def read(text: str) -> object:
        file.write_text(text)
        data = script.DeviceData()
        data.parse_stats(script.parse_stats_file(str(file))[POINT])
        return data

    def show(after: str, before: str | None, seconds: float) -> Shown:
        data = read(after)
        if before is not None:
            data = data.compare_iostats(read(before))  # type: ignore[attr-defined]
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            for which in (0, 1):  # reading and writing; attributes
                data.display_iostats(seconds, which)  # type: ignore[attr-defined]
        return shown(printed.getvalue())

    return show


def load_nfsiostat() -> ModuleType:
    """nfsiostat as a module. It has no guard: on being loaded it looks at this machine's mounts, and exits."""
    loader = SourceFileLoader("nfsiostat", str(NFSIOSTAT))
    spec = importlib.util.spec_from_loader("nfsiostat", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(io.StringIO()):
        patch.setattr(sys, "argv", ["nfsiostat"])
        patch.setattr(sys, "dont_write_bytecode", True)
        with contextlib.suppress(SystemExit):
            loader.exec_module(module)
    return module


def shown(printed: str) -> Shown:
    """The figures under each operation's header."""
    found = {}
    lines = printed.splitlines()
    for header, values in itertools.pairwise(lines):
        if match := re.match(r"([a-z_]+): +ops/s", header):
            figures = VALUES.fullmatch(values)
            assert figures is not None, values
            found[match.group(1).upper()] = list(figures.groups())
    return found


def as_nfsiostat_prints(rate: Rate) -> list[str | None]:
    """The same figures of ours, to the same digits; what is not known it prints as nought."""
    words: list[str | None] = [f"{value or 0.0:.3f}" for value in (rate.ops_per_s, rate.kib_per_s, rate.kib_per_op)]
    words += [f"{rate.retransmissions:.0f}", f"{rate.retransmissions_percent or 0.0:.1f}"]
    words += [f"{value or 0.0:.3f}" for value in (rate.rtt_ms, rate.execute_ms, rate.queue_ms)]
    if rate.errors is None:
        return [*words, None, None]
    return [*words, f"{rate.errors:.0f}", f"{rate.errors_percent or 0.0:.1f}"]


def at_the_mount(stats: MountStats) -> MountStats:
    """The same mount before it did anything."""
    nothing = Operation(0, 0, 0, 0, 0, 0, 0, 0, 0)
    return dataclasses.replace(stats, age_s=0, operations=dict.fromkeys(stats.operations, nothing))


def test_nfsiostat_shows_the_same_of_a_real_mount(nfsiostat: Nfsiostat) -> None:
    before, after = recorded(BEFORE), recorded(AFTER)
    earlier, later = mountstats.parse(before, POINT), mountstats.parse(after, POINT)
    # Seconds are whatever lay between the readings; here any will do.
    theirs = nfsiostat(after, before, 10)
    assert sorted(theirs) == ["ACCESS", "GETATTR", "READ", "WRITE"]
    ours = rates(earlier, later, 10)
    assert theirs == {name: as_nfsiostat_prints(ours[name]) for name in theirs}

    ours = rates(at_the_mount(later), later, later.age_s)
    assert nfsiostat(after, None, 0) == {name: as_nfsiostat_prints(ours[name]) for name in theirs}


growth = st.lists(st.integers(0, 2**40) | st.integers(0, 5), min_size=9, max_size=9)
counters = st.fixed_dictionaries(dict.fromkeys(("READ", "WRITE", "GETATTR", "ACCESS"), growth))


@given(first=counters, second=counters, seconds=st.integers(1, 3600), fields=st.sampled_from([8, 9]))
def test_nfsiostat_shows_the_same_of_any_counters(
    nfsiostat: Nfsiostat, first: dict[str, list[int]], second: dict[str, list[int]], seconds: int, fields: int
) -> None:
    before = with_counters(first, fields)
    after = with_counters(
        {name: [a + b for a, b in zip(first[name], second[name], strict=True)] for name in first}, fields
    )
    theirs = nfsiostat(after, before, seconds)
    ours = rates(mountstats.parse(before, POINT), mountstats.parse(after, POINT), seconds)
    assert theirs == {name: as_nfsiostat_prints(ours[name]) for name in first}


def with_counters(counters: dict[str, list[int]], fields: int) -> str:
    """The recorded text with these operations' counters in it, and as many of all operations' as `fields`."""

    def line(match: re.Match[str]) -> str:
        name, words = match.group(1).strip(" \t:"), match.group(2).split()
        if name in counters:
            operations, again, *others = counters[name]
            words = [str(number) for number in (operations, operations + again, *others)]
        return f"{match.group(1)} {' '.join(words[:fields])}"

    return re.sub(r"^(\s+[A-Z_]+:)((?: \d+){9})$", line, recorded(BEFORE), flags=re.MULTILINE)
