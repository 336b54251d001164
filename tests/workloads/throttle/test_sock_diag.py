"""What the kernel's answers about connections mean, and that nothing else is taken for one."""

from __future__ import annotations

import contextlib
import errno
import socket
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.workloads.throttle.netlink_messages import Socket, done, failure, netlink
from workloads.throttle.sock_diag import Connection, dump_request, exact_requests, parse_answer

counts = st.integers(0, 2**63)
buffered = st.integers(0, 2**32 - 1)
sockets = st.builds(
    Socket,
    family=st.sampled_from([socket.AF_INET, socket.AF_INET6]),
    ports=st.tuples(st.integers(1, 65535), st.integers(1, 65535)),
    cookie=st.integers(0, 2**64 - 1),
    inode=st.integers(0, 2**32 - 1),
    unread=buffered,
    unacked=buffered,
    acked=counts,
    received=counts,
    notsent=buffered,
)


def shown(connection: Connection) -> Socket:
    here, there = struct.unpack_from("!HH", connection.endpoints)
    return Socket(
        connection.family,
        (here, there),
        connection.cookie,
        connection.inode,
        connection.unread_bytes,
        connection.unacked_bytes,
        connection.acked_bytes,
        connection.received_bytes,
        connection.notsent_bytes,
    )


@given(st.lists(sockets, max_size=5), st.booleans(), st.sampled_from([148, 192, 280, 500]))
def test_every_count_comes_through_whatever_stands_around_it(
    there: list[Socket], other_attributes: bool, info_bytes: int
) -> None:
    """tcp_info has had 192 bytes and more; what a later kernel adds comes after."""
    messages = [
        each.message(number, other_attributes=other_attributes, info_bytes=info_bytes)
        for number, each in enumerate(there)
    ]
    answer = parse_answer(b"".join(messages))
    assert [shown(connection) for connection in answer.connections] == there
    assert answer.answered == list(range(len(there)))
    assert not answer.done


@given(sockets)
def test_what_a_process_has_moved_is_what_went_through_its_calls(there: Socket) -> None:
    """Written: acknowledged or waiting for it. Read: received and not waiting to be read."""
    (connection,) = parse_answer(there.message()).connections
    assert connection.process_bytes == (there.acked + there.unacked) + (there.received - there.unread)


@given(sockets, st.data())
def test_a_datagram_that_is_cut_off_is_an_error_never_a_count(there: Socket, data: st.DataObject) -> None:
    whole = there.message()
    cut = whole[: data.draw(st.integers(1, len(whole) - 1))]
    with pytest.raises(ValueError, match="bytes"):
        parse_answer(cut)


@given(st.binary(max_size=400))
def test_rubbish_makes_no_connections(datagram: bytes) -> None:
    """Refused, or read as something else: a connection takes a header, an inet_diag_msg and a tcp_info with counts."""
    with contextlib.suppress(ValueError, OSError):
        assert len(parse_answer(datagram).connections) * (16 + 72 + 4 + 148) <= len(datagram)


def test_a_connection_without_counts_is_as_good_as_gone() -> None:
    answer = parse_answer(Socket().message(9, info_bytes=0))
    assert answer.connections == []
    assert answer.answered == [9]


def test_a_connection_that_is_gone_is_an_answer_to_its_request() -> None:
    answer = parse_answer(Socket(cookie=1).message(4) + failure(errno.ENOENT, 5) + failure(errno.ESTALE, 6))
    assert [connection.cookie for connection in answer.connections] == [1]
    assert answer.answered == [4, 5, 6]


def test_a_connection_without_counts_does_not_end_a_dump() -> None:
    """FIN_WAIT2 may be one that is only remembered; there may be more after it."""
    answer = parse_answer(Socket().message(9, info_bytes=0) + Socket(cookie=3).message(9))
    assert not answer.done
    assert [connection.cookie for connection in answer.connections] == [3]


def test_a_family_that_the_kernel_does_not_have_ends_a_dump() -> None:
    assert parse_answer(failure(errno.ENOENT, 1)).done


def test_a_kernel_that_refuses_is_an_error() -> None:
    with pytest.raises(PermissionError, match="sock_diag"):
        parse_answer(failure(errno.EPERM, 1))


def test_the_end_of_a_dump_is_seen() -> None:
    assert parse_answer(Socket().message() + done(1)).done
    assert parse_answer(netlink(1, 1, b"")).answered == [1]  # NLMSG_NOOP


def test_a_request_names_family_protocol_and_what_is_wanted() -> None:
    request = dump_request(socket.AF_INET6, 3)
    length, kind, flags, sequence, _ = struct.unpack_from("=IHHII", request)
    assert (length, kind, flags, sequence) == (len(request), 20, 0x301, 3)
    family, protocol, extensions, states = struct.unpack_from("=BBBxI", request, 16)
    assert (family, protocol, extensions) == (socket.AF_INET6, socket.IPPROTO_TCP, 1 << 1)
    assert states == sum(1 << state for state in (1, 2, 4, 5, 8, 9, 11))


def test_one_datagram_asks_for_many() -> None:
    known = parse_answer(Socket(cookie=1).message() + Socket(cookie=2, family=socket.AF_INET6).message()).connections
    requests = exact_requests(known, 10)
    half = len(requests) // 2
    for number, (part, connection) in enumerate(zip((requests[:half], requests[half:]), known, strict=True)):
        length, _, flags, sequence, _ = struct.unpack_from("=IHHII", part)
        assert (length, flags, sequence) == (half, 1, 10 + number)
        assert part[16] == connection.family
        assert part.endswith(connection.endpoints + struct.pack("=Q", connection.cookie))
