"""The options of a mount, compared one by one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workloads.efs_iops.mount_options import CHANGES, EXPECTED, HELPER_OPTIONS, READ_BACK, differences, noted

ADDRESSES = "clientaddr=10.20.1.10,addr=10.20.1.20"
TUNNEL = "noresvport,port=20449,clientaddr=127.0.0.1,addr=127.0.0.1"
WORDS = READ_BACK.split(",")
ASKED = EXPECTED.split(",")


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
        ("rw,relatime", "ro,noatime", ["ro is there, expected rw"]),
        ("local_lock=none", "local_lock=all", ["local_lock is all, expected none"]),
        ("proto=tcp", "proto=rdma", ["proto is rdma, expected tcp"]),
        (
            "hard,",
            "hard,fatal_neterrors=ENETDOWN:ENETUNREACH,",
            ["fatal_neterrors=ENETDOWN:ENETUNREACH is there and was not asked for"],
        ),
        ("proto=tcp", "proto=tcp,port=20490", ["port=20490 is there and was not asked for"]),
        (
            "namlen=255",
            "namlen=255,acregmin=0,acregmax=0",
            ["acregmax=0 is there and was not asked for", "acregmin=0 is there and was not asked for"],
        ),
        ("sec=sys", 'sec=krb5p,context="system_u:object_r:nfs_t:s0:c1,soft,c2"', ["sec is krb5p, expected sys"]),
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


def test_nothing_read_is_all_that_was_asked_for_missing() -> None:
    assert differences("") == sorted(f"{word} is missing" for word in ASKED)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("", "", []),
        # Linux 6.15 and later shows this of every NFS mount.
        ("hard,", "hard,fatal_neterrors=none,", ["fatal_neterrors=none"]),
        ("proto=tcp", "proto=tcp,port=2049,nconnect=1", ["nconnect=1", "port=2049"]),
        (
            "rw,",
            'rw,seclabel,context="system_u:object_r:nfs_t:s0:c1,c2",',
            ['context="system_u:object_r:nfs_t:s0:c1,c2"', "seclabel"],
        ),
        ("relatime,", "noatime,", ["noatime", "relatime not shown"]),
        (",local_lock=none", "", ["local_lock not shown"]),
        ("namlen=255", "namlen=512,a_word_of_a_later_kernel=7", ["a_word_of_a_later_kernel=7", "namlen=512"]),
    ],
)
def test_what_a_kernel_shows_of_its_own_accord_is_noted_and_stops_nothing(old: str, new: str, says: list[str]) -> None:
    read = f"{READ_BACK},{ADDRESSES}".replace(old, new, 1)
    assert differences(read) == []
    assert noted(read) == says


def test_what_stops_a_run_is_not_noted_too() -> None:
    read = READ_BACK.replace("hard", "soft,nconnect=4")
    assert len(differences(read)) == 2
    assert noted(read) == []


def test_a_tunnel() -> None:
    assert differences(f"{READ_BACK},{TUNNEL}", tls=True) == []
    assert differences(f"{READ_BACK},addr=127.0.0.1,port=20449", tls=True) == []
    assert noted(f"{READ_BACK},{TUNNEL}", tls=True) == []
    assert differences(f"{READ_BACK},{TUNNEL}") == [
        "noresvport is there and was not asked for",
        "port=20449 is there and was not asked for",
    ]


@given(st.permutations(WORDS))
def test_order_does_not_matter(words: list[str]) -> None:
    assert differences(",".join([ADDRESSES, *words])) == noted(",".join([ADDRESSES, *words])) == []
    assert differences(",".join([TUNNEL, *words]), tls=True) == []


@given(
    st.sets(st.sampled_from(WORDS)), st.sets(st.sampled_from(["fsc", "nosharecache", "nconnect=4", "lookupcache=pos"]))
)
def test_each_missing_and_each_added_option_is_named_once(missing: set[str], added: set[str]) -> None:
    read = [word for word in WORDS if word not in missing] + sorted(added)
    said = [f"{word} is missing" for word in missing & set(ASKED)]
    said += [f"{word} is there and was not asked for" for word in added]
    assert sorted(differences(",".join(read))) == sorted(said)
    assert noted(",".join(read)) == sorted(f"{word.partition('=')[0]} not shown" for word in missing - set(ASKED))


def test_no_default_that_a_kernel_may_show_stops_a_run() -> None:
    shown = [f"{name}={default}" for name, default in CHANGES.items() if default is not None]
    assert differences(",".join([*ASKED, *shown])) == []
