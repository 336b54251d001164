"""Adding up connections that come, end and change hands."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tests.workloads.throttle.netlink_messages import Socket
from workloads.throttle.meter import Counts, Tally
from workloads.throttle.sock_diag import Connection, parse_answer

OURS, THEIRS = 100, 200


def connection(
    cookie: int, *, inode: int = OURS, acked: int = 0, received: int = 0, unacked: int = 0, notsent: int = 0
) -> Connection:
    there = Socket(cookie=cookie, inode=inode, acked=acked, received=received, unacked=unacked, notsent=notsent)
    return parse_answer(there.message()).connections[0]


def test_a_connection_counts_from_its_beginning() -> None:
    tally = Tally()
    tally.add_dump([connection(1, acked=30, received=5, unacked=7), connection(2, inode=THEIRS, acked=1000)], {OURS})
    assert tally.counts == Counts(30, 5, 42)
    assert tally.counts.network_bytes == 35
    assert [each.cookie for each in tally.listed] == [1]


def test_what_it_had_moved_before_does_not_count() -> None:
    tally = Tally([connection(1, acked=1000, received=50)])
    tally.add_dump([connection(1, acked=1200, received=50)], {OURS})
    assert tally.counts == Counts(200, 0, 200)


def test_a_connection_taken_over_counts_from_when_it_was_seen_elsewhere() -> None:
    tally = Tally()
    tally.add_dump([connection(1, inode=THEIRS, acked=500)], {OURS})
    tally.add_dump([connection(1, inode=OURS, acked=700)], {OURS})
    assert tally.counts.sent_bytes == 200


def test_a_closed_connection_counts_on_while_the_kernel_sends_what_is_left() -> None:
    tally = Tally()
    tally.add_dump([connection(1, acked=10, unacked=90)], {OURS})
    tally.add_dump([connection(1, inode=0, acked=60, unacked=40)], set())
    assert tally.counts == Counts(60, 0, 100)


def test_what_is_in_the_send_buffers_is_told_of_ours_and_of_closed_ones() -> None:
    tally = Tally()
    tally.add_dump([connection(1, unacked=90, notsent=50), connection(2, inode=THEIRS, unacked=7)], {OURS})
    assert tally.buffered == (90, 50)
    tally.update([connection(1, inode=0, acked=60, unacked=40)], set())
    assert tally.buffered == (40, 0)
    tally.end([connection(1, inode=0, acked=100)])
    assert tally.buffered == (0, 0)


def test_a_connection_handed_on_counts_no_further() -> None:
    tally = Tally()
    tally.add_dump([connection(1, acked=10)], {OURS})
    tally.update([connection(1, inode=THEIRS, acked=15)], {OURS})
    tally.update([connection(1, inode=THEIRS, acked=99)], {OURS})
    assert tally.counts.sent_bytes == 15
    assert tally.listed == []


def test_handed_on_and_back_what_the_others_moved_is_left_out() -> None:
    tally = Tally()
    tally.add_dump([connection(1, acked=10)], {OURS})
    tally.add_dump([connection(1, inode=THEIRS, acked=10)], {OURS})
    tally.add_dump([connection(1, inode=THEIRS, acked=500)], {OURS})
    tally.add_dump([connection(1, inode=OURS, acked=501)], {OURS})
    assert tally.counts.sent_bytes == 11


def test_the_last_word_is_the_kernel_s() -> None:
    tally = Tally()
    tally.add_dump([connection(1, acked=10)], {OURS})
    tally.update([])
    assert tally.counts.sent_bytes == 10
    assert tally.listed == []
    tally.end([connection(1, inode=0, acked=25), connection(9, inode=0, acked=1000)])
    assert tally.counts.sent_bytes == 25
    tally.end([connection(1, inode=0, acked=25)])
    assert tally.counts.sent_bytes == 25


def test_counters_that_a_reset_has_zeroed_take_nothing_back() -> None:
    """A close with SO_LINGER 0: the kernel zeroes tcp_info before it tells the final counters, and moves write_seq on
    by a window, so that as much seems to be unacknowledged.
    """
    tally = Tally()
    tally.add_dump([connection(1, acked=32769, received=80, unacked=500)], {OURS})
    tally.update([])
    tally.end([connection(1, inode=0, unacked=65538)])
    assert tally.counts == Counts(32769, 80, 32769 + 80 + 500)


def test_a_socket_that_is_disconnected_and_connected_again_counts_on() -> None:
    """connect(AF_UNSPEC): the socket keeps its cookie, its counters begin anew."""
    tally = Tally([connection(1, acked=1000)])
    tally.add_dump([connection(1, acked=1500)], {OURS})
    tally.update([connection(1, acked=7)], {OURS})
    assert tally.counts.sent_bytes == 507
    tally.update([connection(1, acked=20)], {OURS})
    tally.end([connection(1, inode=0, acked=30)])
    assert tally.counts.sent_bytes == 530


def test_a_socket_that_is_connected_again_is_asked_for_again() -> None:
    tally = Tally()
    tally.add_dump([connection(1, acked=10)], {OURS})
    tally.add_dump([], {OURS})
    assert tally.listed == []
    tally.add_dump([connection(1, acked=5)], {OURS})
    assert [each.acked_bytes for each in tally.listed] == [5]


def test_a_connection_that_was_reset_before_it_was_taken_over_counts_from_then_on() -> None:
    tally = Tally([connection(1, acked=1000)])
    tally.add_dump([connection(1, acked=20)], {OURS})
    assert tally.counts.sent_bytes == 20


class _Connections(RuleBasedStateMachine):
    """Whatever happens to connections, the tally has what they moved while they were ours and were looked at."""

    def __init__(self) -> None:
        super().__init__()
        self.tally = Tally()
        self.there: dict[int, list[int]] = {}  # cookie: inode, bytes
        self.next_cookie = 1
        self.expected = 0
        self.counted: dict[int, int] = {}  # cookie: bytes up to which it was counted
        self.last_total = 0

    def _connections(self) -> list[Connection]:
        return [connection(cookie, inode=inode, acked=moved) for cookie, (inode, moved) in self.there.items()]

    @rule()
    def opened(self) -> None:
        self.there[self.next_cookie] = [OURS, 0]
        self.next_cookie += 1

    @rule(amount=st.integers(0, 1000))
    def moves(self, amount: int) -> None:
        for entry in self.there.values():
            entry[1] += amount

    @rule()
    def searched(self) -> None:
        self.tally.add_dump(self._connections(), {OURS})
        for cookie, (_, moved) in self.there.items():
            self.expected += moved - self.counted.get(cookie, 0)
            self.counted[cookie] = moved

    @rule()
    def oldest_closed_by_process(self) -> None:
        """One that was never seen open stays unknown, and is not expected."""
        for cookie, entry in self.there.items():
            if entry[0] == OURS and cookie in self.counted:
                entry[0] = 0
                return

    @rule()
    def oldest_ends(self) -> None:
        for cookie, (_, moved) in list(self.there.items()):
            if cookie in self.counted:
                self.tally.end([connection(cookie, inode=0, acked=moved)])
                self.expected += moved - self.counted.pop(cookie)
                del self.there[cookie]
                return

    @rule()
    def oldest_reset(self) -> None:
        """What it moved since it was last looked at is not known, and is not expected."""
        for cookie in list(self.there):
            if cookie in self.counted:
                self.tally.end([connection(cookie, inode=0)])
                del self.there[cookie], self.counted[cookie]
                return

    @rule()
    def oldest_connected_again(self) -> None:
        for cookie, entry in self.there.items():
            if entry[0] == OURS and self.counted.get(cookie):
                entry[1] = self.counted[cookie] = 0
                self.tally.update([connection(cookie)], {OURS})
                return

    @invariant()
    def counts_are_right(self) -> None:
        total = self.tally.counts.sent_bytes
        assert total == self.expected
        assert total >= self.last_total
        self.last_total = total


TestConnections = _Connections.TestCase
