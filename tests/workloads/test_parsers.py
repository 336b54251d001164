"""Parsers, on what the tools printed on real hosts."""

from __future__ import annotations

import pytest

from tests.workloads.fakes import recorded
from workloads.md_raid import parsers


def test_detail_of_a_whole_mirror() -> None:
    detail = parsers.array_detail(recorded("mdadm-detail-whole.txt"))
    assert (detail.name, detail.level, detail.layout, detail.raid_devices) == ("md1", "raid10", "o3", 3)
    assert (detail.working, detail.state, detail.chunk_kib) == (3, "clean", 512)
    assert detail.label == "tidemark:md1"
    assert detail.size_bytes == 15719424 * 1024
    assert [leg.slot for leg in detail.legs] == [0, 1, 2]
    assert {leg.state for leg in detail.legs} == {"active sync"}


def test_detail_of_the_stripe_has_no_layout() -> None:
    detail = parsers.array_detail(recorded("mdadm-detail-stripe.txt"))
    assert (detail.name, detail.level, detail.layout) == ("md99", "raid0", None)
    assert [leg.device for leg in detail.legs] == [f"/dev/md{number}" for number in range(1, 6)]


def test_detail_of_a_mirror_with_a_faulty_leg() -> None:
    detail = parsers.array_detail(recorded("mdadm-detail-faulty.txt"))
    assert (detail.working, detail.state) == (2, "clean, degraded")
    assert [(leg.slot, leg.device, leg.state) for leg in detail.legs] == [
        (0, None, "removed"),
        (1, "/dev/sdm", "active sync"),
        (2, "/dev/sdb", "active sync"),
        (None, "/dev/sdk", "faulty"),
    ]


def test_detail_of_a_rebuild_does_not_count_the_spare_as_working() -> None:
    """mdadm says "Working Devices : 3" while one of the three holds 4 % of the data."""
    detail = parsers.array_detail(recorded("mdadm-detail-rebuilding.txt"))
    assert detail.working == 2
    assert detail.legs[0] == parsers.ArrayLeg(0, "/dev/sdk", "spare rebuilding")


def test_mdstat() -> None:
    whole = parsers.mdstat(recorded("mdstat-whole.txt"))
    assert sorted(whole) == ["md1", "md2", "md3", "md4", "md5", "md99"]
    assert all(whole[f"md{number}"].whole for number in range(1, 6))
    assert (whole["md99"].level, whole["md99"].working) == ("raid0", None)

    degraded = parsers.mdstat(recorded("mdstat-degraded.txt"))["md1"]
    assert (degraded.raid_devices, degraded.working, degraded.recovery_percent, degraded.whole) == (3, 2, None, False)

    recovery = parsers.mdstat(recorded("mdstat-recovery.txt"))["md1"]
    assert (recovery.working, recovery.recovery_percent, recovery.whole) == (2, 3.1, False)


def test_mdstat_of_an_array_that_lacks_members_and_of_a_delayed_rebuild() -> None:
    text = (
        "Personalities : [raid10]\n"
        "md99 : inactive md98[0](S)\n      15710208 blocks super 1.2\n\n"
        "md2 : active (auto-read-only) raid10 sdb[1] sda[0]\n"
        "      15719424 blocks super 1.2 512K chunks 3 offset-copies [3/2] [UU_]\n"
        "      \tresync=DELAYED\n\nunused devices: <none>\n"
    )
    arrays = parsers.mdstat(text)
    assert (arrays["md99"].active, arrays["md99"].level) == (False, None)
    assert (arrays["md2"].level, arrays["md2"].recovery_percent) == ("raid10", 0.0)


def test_mdstat_of_an_array_that_failed() -> None:
    """Linux 6.12 and later say "broken" for it (md_seq_show in drivers/md/md.c): there, and not to be used."""
    text = (
        "Personalities : [raid0] [raid10]\n"
        "md1 : broken raid10 sdm[1](F) sdk[0](F) sdb[2](F)\n"
        "      15719424 blocks super 1.2 512K chunks 3 offset-copies [3/0] [___]\n"
        "      bitmap: 0/1 pages [0KB], 65536KB chunk\n\nunused devices: <none>\n"
    )
    array = parsers.mdstat(text)["md1"]
    assert (array.active, array.whole, array.level) == (False, False, "raid10")
    assert array.condition == "md1 is broken: 0 of 3 legs"
    complete = parsers.mdstat(text.replace("[3/0]", "[3/3]"))["md1"]
    assert not complete.whole, "whatever its legs are"


def test_a_word_of_mdstat_that_is_not_known_is_an_array_all_the_same() -> None:
    array = parsers.mdstat(recorded("mdstat-whole.txt").replace("md1 : active", "md1 : suspended"))["md1"]
    assert (array.activity, array.active, array.whole) == ("suspended", False, False)


def test_mdstat_of_an_array_without_members_has_all_in_one_line() -> None:
    text = (
        "Personalities : [raid6]\n"
        "md126 : active raid5 super 1.2 level 5, 64k chunk, algorithm 2 [4/0] [____]\n"
        "      \n"
        "unused devices: <none>\n"
    )
    array = parsers.mdstat(text)["md126"]
    assert (array.level, array.raid_devices, array.working, array.whole) == ("raid5", 4, 0, False)


def test_ping() -> None:
    assert parsers.ping_outcome(recorded("ping-8973.txt")) == "passed"
    assert parsers.ping_outcome(recorded("ping-8974.txt")) == "too-long"
    assert parsers.ping_outcome(recorded("ping-lost.txt")) == "lost"


@pytest.mark.parametrize(
    "line",
    [
        "ping: local error: message too long, mtu=1500",
        "ping: local error: Message too long, mtu=1500",
        "ping: sendmsg: Message too long",
        "ping: sendto: Message too long",
        "From 192.0.2.1 icmp_seq=1 Frag needed and DF set (mtu = 1500)",
        "From 192.0.2.1: icmp_seq=1 Fragmentation needed and DF set",
        "From 2001:db8::1 icmp_seq=1 Packet too big: mtu=1500",
    ],
)
def test_a_packet_that_is_too_long_in_the_words_of_several_pings(line: str) -> None:
    end = (
        "--- 192.0.2.5 ping statistics ---\n1 packets transmitted, 0 received, +1 errors, 100% packet loss, time 0ms\n"
    )
    assert parsers.ping_outcome(f"{line}\n\n{end}") == "too-long"
    assert parsers.ping_outcome(end) == "lost"


def test_client_state() -> None:
    state = parsers.client_state(recorded("client-state-whole.txt"))
    assert len(state.disks) == 15
    assert sorted(state.arrays) == ["md1", "md2", "md3", "md4", "md5", "md99"]
    disk = next(iter(state.disks.values()))
    assert disk.session == "LOGGED_IN"
    # A disk that an array has taken is not searched for labels.
    assert disk.label is None


def test_a_label_that_could_not_be_read_is_no_missing_label() -> None:
    text = recorded("client-state-whole.txt").replace("@@ disk sda\n", "@@ disk sda\nlabel_fault=Input/output error\n")
    text = text.replace("@@ label md99\n", "@@ label md99\nlabel_fault=Input/output error\n")
    state = parsers.client_state(text)
    assert [disk.label_fault for disk in state.disks.values() if disk.label_fault] == ["Input/output error"]
    assert state.label_faults == {"md99": "Input/output error"}


@pytest.mark.parametrize(
    ("read", "text"),
    [
        (parsers.array_detail, ""),
        (parsers.array_detail, "mdadm: cannot open /dev/md1: No such file or directory"),
        (parsers.array_detail, "/dev/md1:\n           Version : 1.2\n"),
        (parsers.ping_outcome, "ping: unknown host"),
        (parsers.mdstat, ""),
        (parsers.mdstat, "sbName=/boot/config/super.dat\nmdState=STARTED\ndiskNumber.0=0\n"),
        (parsers.mdstat, "Personalities : [raid10]\nmd1 (active) raid10 sda[0]\nunused devices: <none>\n"),
        (parsers.mdstat, "Personalities : [raid10]\n      15719424 blocks super 1.2 [3/3] [UUU]\n"),
        (parsers.client_state, "@@ mdstat\nPersonalities :\n"),
    ],
)
def test_what_is_not_understood_is_refused(read: object, text: str) -> None:
    assert callable(read)
    with pytest.raises(parsers.ParseError):
        read(text)
