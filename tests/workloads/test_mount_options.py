"""The options of a mount, compared one by one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workloads.efs_iops.mount_options import HELPER_OPTIONS, READ_BACK, TLS, differences

ADDRESSES = "clientaddr=10.20.1.10,addr=10.20.1.20"
TUNNEL = "noresvport,port=20449,clientaddr=127.0.0.1,addr=127.0.0.1"
WORDS = READ_BACK.split(",")


def test_what_is_asked_for_is_what_is_read_back() -> None:
    """The kernel says vers for nfsvers, and adds what is its own default."""
    asked = set(HELPER_OPTIONS.replace("nfsvers=", "vers=").split(","))
    assert asked < set(WORDS)


def test_the_published_line_does_not_differ() -> None:
    assert differences(READ_BACK) == []
    assert differences(f"{READ_BACK},{ADDRESSES}\n") == []


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("timeo=600", "timeo=300", ["timeo is 300, expected 600"]),
        ("hard", "soft", ["soft is there, expected hard"]),
        ("hard", "softerr", ["softerr is there, expected hard"]),
        ("rw,relatime", "ro,noatime", ["noatime is there, expected relatime", "ro is there, expected rw"]),
        ("relatime,", "", ["relatime is missing"]),
        ("timeo=600,", "", ["timeo=600 is missing"]),
        ("timeo=600", "timeo", ["timeo is a word without a value, expected 600"]),
        ("proto=tcp", "noresvport,proto=tcp", ["noresvport is there and was not asked for"]),
        ("proto=tcp", "proto=tcp,nconnect=4", ["nconnect=4 is there and was not asked for"]),
        ("vers=4.1", "vers=4.2", ["vers is 4.2, expected 4.1"]),
        ("rsize=1048576", "rsize=65536", ["rsize is 65536, expected 1048576"]),
        ("hard,", "hard,soft,", ["soft is there, expected hard"]),
    ],
)
def test_each_difference_is_a_line(old: str, new: str, says: list[str]) -> None:
    assert differences(READ_BACK.replace(old, new)) == says


def test_nothing_read_is_everything_missing() -> None:
    assert differences("") == sorted(f"{word} is missing" for word in WORDS)


def test_a_tunnel() -> None:
    assert differences(f"{READ_BACK},{TUNNEL}", TLS) == []
    assert differences(f"{READ_BACK},addr=127.0.0.1,port=20449", TLS) == []
    # Mounted past the tunnel, nothing would be encrypted.
    assert differences(f"{READ_BACK},{ADDRESSES}", TLS) == ["addr is 10.20.1.20, expected 127.0.0.1"]
    assert differences(f"{READ_BACK},{TUNNEL}") == ["noresvport is there and was not asked for"]


@given(st.permutations(WORDS))
def test_order_does_not_matter(words: list[str]) -> None:
    assert differences(",".join([ADDRESSES, *words])) == []
    assert differences(",".join([TUNNEL, *words]), TLS) == []


@given(
    st.sets(st.sampled_from(WORDS)), st.sets(st.sampled_from(["fsc", "nosharecache", "nconnect=4", "lookupcache=pos"]))
)
def test_each_missing_and_each_added_option_is_named_once(missing: set[str], added: set[str]) -> None:
    read = [word for word in WORDS if word not in missing] + sorted(added)
    said = [f"{word} is missing" for word in missing] + [f"{word} is there and was not asked for" for word in added]
    assert sorted(differences(",".join(read))) == sorted(said)
