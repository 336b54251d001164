"""What configure sends to which host, without a host: recorded once, compared word for word."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest

from inventory import Inventory
from tests.workloads.fakes import RECORDED, Answer, fake_context, recorded
from workloads.errors import WorkloadError
from workloads.md_raid.arrays import make_stripe, return_legs
from workloads.md_raid.configure import STEPS, configure
from workloads.md_raid.parsers import client_state

UNCHANGED = '{"changed": 0}'
PACKAGES = (
    '{"kernel": "6.1.0", "debian": "12.9", "memory_kib": 2000000, "cpus": 4}\n'
    '{"package": "mdadm", "version": "4.2-5"}\n'
)


def without_arrays(text: str) -> str:
    """The client's state as it was before any array: disks only."""
    disks = text[text.index("@@ disk") :]
    return f"@@ mdstat\nPersonalities : [raid0] [raid10] \nunused devices: <none>\n{disks}"


def without_stripe(text: str) -> str:
    """The client's state between the creation of the mirrors and that of the stripe."""
    parts = text.replace("\n@@ ", "\n\0@@ ").split("\0")
    mirrors_only = "".join(part for part in parts if not part.startswith("@@ detail md99"))
    line = mirrors_only[mirrors_only.index("md99 : ") : mirrors_only.index("md5 : ")]
    return mirrors_only.replace(line, "")


def answers(first_state: str, later_state: str) -> Answer:
    """Fake hosts: the client has `first_state` until its mirrors are created, and the stripe once that is."""
    state = first_state

    def answer(host: str, script: str, arguments: Sequence[str]) -> str:
        nonlocal state
        if script == "host_packages":
            return PACKAGES + UNCHANGED
        if script == "client_state":
            return state
        if script == "client_mirrors":
            state = without_stripe(later_state)
            return '{"changed": 5}'
        if script == "client_stripe" and arguments[2] == "create":
            state = later_state
            return '{"changed": 1}'
        if script == "client_mdstat":
            return recorded("mdstat-whole.txt")
        return UNCHANGED

    return answer


def test_a_client_with_everything_is_only_looked_at(inventory: Inventory) -> None:
    state = recorded("client-state-whole.txt")
    context, hosts = fake_context(inventory, answers(state, state))
    assert configure(context) == 0
    client = [name for host, name, _ in hosts.sent if host == "client"]
    assert client == [
        "host_packages",
        "client_initiator",
        "client_sessions",
        "client_state",
        "client_arrays_file",
    ]


def test_the_words_sent_for_fresh_volumes(inventory: Inventory) -> None:
    """A change of these words is a change of what is done to hosts: it is made in the file by hand."""
    whole = recorded("client-state-whole.txt")
    context, hosts = fake_context(inventory, answers(without_arrays(whole), whole))
    configure(context)
    sent = [[host, name, *arguments] for host, name, arguments in hosts.sent]
    assert sent == json.loads((RECORDED / "configure-commands.json").read_text())


def test_mirrors_have_one_leg_of_each_server_whatever_the_disks_are_called(inventory: Inventory) -> None:
    whole = recorded("client-state-whole.txt")
    context, hosts = fake_context(inventory, answers(without_arrays(whole), whole))
    configure(context)
    target_of = {disk.device: disk.target for disk in client_state(whole).disks.values()}
    (words,) = [arguments for _, name, arguments in hosts.sent if name == "client_mirrors"]
    for number, pair in enumerate(words[1:]):
        name, devices = pair.split("=")
        assert name == f"md{number + 1}"
        servers = [target_of[device].split(":")[1].split(".")[0] for device in devices.split(",")]
        assert servers == ["storage-1", "storage-2", "storage-3"]


def test_legs_are_seen_to_be_zero_before_mirrors_are_created(inventory: Inventory) -> None:
    whole = recorded("client-state-whole.txt")
    context, hosts = fake_context(inventory, answers(without_arrays(whole), whole))
    configure(context)
    names = [name for _, name, _ in hosts.sent]
    assert names.count("storage_zeroed") == 3
    assert names.index("storage_zeroed") < names.index("client_mirrors")


def test_a_faulty_leg_is_given_back(inventory: Inventory) -> None:
    faulty = recorded("client-state-faulty.txt")
    context, hosts = fake_context(inventory, answers(faulty, faulty))
    configure(context)
    assert [arguments for _, name, arguments in hosts.sent if name == "client_readd"] == [["md1=/dev/sdk"]]


def test_boundaries_are_told(inventory: Inventory) -> None:
    state = recorded("client-state-whole.txt")
    context, _ = fake_context(inventory, answers(state, state))
    seen: list[str] = []
    configure(context, at_boundary=seen.append)
    assert seen == list(STEPS)


def relabelled(text: str, label: str, events: int | None) -> str:
    """The state before any array, with a label on the first disk of md1's legs."""
    state = client_state(text)
    disks = without_arrays(text)
    words = f"MD_NAME={label}\n" + (f"MD_EVENTS={events}\n" if events is not None else "")
    target = next(disk.target for disk in state.disks.values() if disk.device == "/dev/sdk")
    return disks.replace(f"target={target}\n", f"target={target}\n{words}")


def test_a_leg_of_another_mirror_is_refused(inventory: Inventory) -> None:
    whole = recorded("client-state-whole.txt")
    state = relabelled(whole, "tidemark:md4", 17)
    context, hosts = fake_context(inventory, answers(state, whole))
    with pytest.raises(WorkloadError, match="is a leg of tidemark:md4, not of md1"):
        configure(context)
    assert "client_mirrors" not in [name for _, name, _ in hosts.sent]


def test_a_creation_that_was_cut_short_is_cleared(inventory: Inventory) -> None:
    whole = recorded("client-state-whole.txt")
    state = relabelled(whole, "tidemark:md1", 0)
    context, hosts = fake_context(inventory, answers(state, whole))
    configure(context)
    assert [arguments for _, name, arguments in hosts.sent if name == "client_unlabel"] == [["/dev/sdk"]]


def test_an_array_that_ran_is_assembled_and_never_created_anew(inventory: Inventory) -> None:
    whole = recorded("client-state-whole.txt")
    state = relabelled(whole, "tidemark:md1", 22)
    context, hosts = fake_context(inventory, answers(state, whole))
    configure(context)
    assert [arguments for _, name, arguments in hosts.sent if name == "client_assemble"] == [["md1=/dev/sdk"]]
    (created,) = [arguments for _, name, arguments in hosts.sent if name == "client_mirrors"]
    assert not any(word.startswith("md1=") for word in created)


def test_a_stripe_that_exists_is_assembled_and_never_created_anew(inventory: Inventory) -> None:
    whole = recorded("client-state-whole.txt")
    labelled = without_stripe(whole).replace("@@ end", "@@ label md1\nMD_NAME=tidemark:md99\n@@ end")
    context, hosts = fake_context(inventory, answers(labelled, labelled))
    with pytest.raises(WorkloadError, match="md99 not running"):
        configure(context)  # the fake client assembles nothing
    (words,) = [arguments for _, name, arguments in hosts.sent if name == "client_stripe"]
    assert words[2] == "assemble"


def broken(text: str) -> str:
    """The state with md1 failed, as Linux 6.12 and later show it; mdadm --detail says nothing new."""
    return text.replace("md1 : active raid10", "md1 : broken raid10").replace(
        "offset-copies [3/3] [UUU]\n      bitmap: 0/1 pages [0KB], 65536KB chunk\n\nunused",
        "offset-copies [3/1] [U__]\n      bitmap: 0/1 pages [0KB], 65536KB chunk\n\nunused",
    )


def test_a_broken_mirror_is_named_and_nothing_is_created(inventory: Inventory) -> None:
    state = broken(recorded("client-state-whole.txt"))
    context, hosts = fake_context(inventory, answers(state, state))
    with pytest.raises(WorkloadError, match=r"client: md1 is broken: 1 of 3 legs; see that every storage server is up"):
        configure(context)
    assert not {"storage_zeroed", "client_mirrors", "client_unlabel"} & {name for _, name, _ in hosts.sent}


def test_a_broken_mirror_gets_no_legs_back_and_no_stripe(inventory: Inventory) -> None:
    state = broken(recorded("client-state-whole.txt"))
    context, _ = fake_context(inventory, answers(state, state))
    for step in (return_legs, make_stripe):
        with pytest.raises(WorkloadError, match="md1 is broken: 1 of 3 legs"):
            step(context)
    absent, _ = fake_context(inventory, answers(without_arrays(state), state))
    with pytest.raises(WorkloadError, match="md1 is not there; run configure again"):
        return_legs(absent)


def test_a_mirror_that_breaks_while_it_is_rebuilt_is_named(inventory: Inventory) -> None:
    faulty = recorded("client-state-faulty.txt")
    answer = answers(faulty, faulty)

    def breaking(host: str, script: str, arguments: list[str]) -> str:
        if script == "client_mdstat":
            return broken(recorded("mdstat-whole.txt"))
        return answer(host, script, arguments)

    context, _ = fake_context(inventory, breaking)
    with pytest.raises(WorkloadError, match="md1 is broken"):
        configure(context)


def test_a_leg_that_another_array_holds_is_refused(inventory: Inventory) -> None:
    """Whatever the holder is called and whatever it is doing: its legs show no label, which is not "fresh"."""
    whole = recorded("client-state-whole.txt")
    for words, says in (
        ("md127 : active raid10 sdk[0]\n      1 blocks super 1.2 [3/1] [U__]\n\n", "held by md127"),
        (
            "md127 : broken raid10 sdk[0]\n      1 blocks super 1.2 [3/0] [___]\n\n",
            r"held by md127 \(md127 is broken: 0 of 3 legs\)",
        ),
        ("md127 : inactive sdk[0](S)\n      1 blocks super 1.2\n\n", r"held by md127 \(md127 is inactive\)"),
        ("", "held by md127"),
    ):
        state = without_arrays(whole).replace("@@ disk sdk\n", "@@ disk sdk\nholder=md127\n")
        state = state.replace("unused devices", f"{words}unused devices")
        context, hosts = fake_context(inventory, answers(state, whole))
        with pytest.raises(WorkloadError, match=rf"/dev/sdk \(iqn\S+\) is {says}; take it from there"):
            configure(context)
        assert not {"storage_zeroed", "client_mirrors"} & {name for _, name, _ in hosts.sent}


def test_a_leg_that_waits_in_an_inactive_array_is_assembled_by_its_label(inventory: Inventory) -> None:
    whole = recorded("client-state-whole.txt")
    state = relabelled(whole, "tidemark:md1", 22).replace("@@ disk sdk\n", "@@ disk sdk\nholder=md127\n")
    state = state.replace("unused devices", "md127 : inactive sdk[0](S)\n      1 blocks super 1.2\n\nunused devices")
    context, hosts = fake_context(inventory, answers(state, whole))
    configure(context)
    assert [arguments for _, name, arguments in hosts.sent if name == "client_assemble"] == [["md1=/dev/sdk"]]


def test_a_label_that_cannot_be_read_is_no_fresh_disk(inventory: Inventory) -> None:
    whole = recorded("client-state-whole.txt")
    state = without_arrays(whole).replace("@@ disk sdk\n", "@@ disk sdk\nlabel_fault=the disk is offline\n")
    context, hosts = fake_context(inventory, answers(state, whole))
    with pytest.raises(
        WorkloadError, match=r"whether /dev/sdk \(iqn\S+\) has an array's label is not known \(the disk is"
    ):
        configure(context)
    assert "storage_zeroed" not in [name for _, name, _ in hosts.sent]


def test_a_stripes_label_that_cannot_be_read_is_no_missing_stripe(inventory: Inventory) -> None:
    state = without_stripe(recorded("client-state-whole.txt")).replace(
        "@@ end", "@@ label md3\nlabel_fault=mdadm: cannot read\n@@ end"
    )
    context, hosts = fake_context(inventory, answers(state, state))
    with pytest.raises(WorkloadError, match="whether md3 has md99's label is not known"):
        configure(context)
    assert "client_stripe" not in [name for _, name, _ in hosts.sent]


def test_what_is_not_understood_is_one_line(inventory: Inventory) -> None:
    state = recorded("client-state-whole.txt").replace("Personalities : [raid0] [raid10]", "mdState=STARTED")
    context, _ = fake_context(inventory, answers(state, state))
    with pytest.raises(WorkloadError, match=r"^client: not /proc/mdstat: .*; see /proc/mdstat"):
        configure(context)


@pytest.mark.parametrize(
    "line",
    ["md98 : active raid0 sdy1[1] sdx1[0]", "md98 : broken raid0 md3[1] sdx1[0]", "md99 : inactive sdx1[0](S)"],
)
def test_an_array_of_that_name_over_something_else_is_not_stopped(inventory: Inventory, line: str) -> None:
    whole = without_stripe(recorded("client-state-whole.txt"))
    state = whole.replace("unused devices", f"{line}\n      1 blocks super 1.2\n\nunused devices")
    context, hosts = fake_context(inventory, answers(state, state))
    with pytest.raises(WorkloadError, match=r"/dev/md9\d is another array, over sd"):
        make_stripe(context)
    assert [name for _, name, _ in hosts.sent] == ["client_state"]
