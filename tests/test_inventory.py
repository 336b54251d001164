"""The inventory: a round trip, and every malformed field told by its path."""

from __future__ import annotations

import base64
import copy
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inventory import Cost, ElasticIp, FileSystem, Inventory, InventoryError, MountTarget

EXAMPLE: dict[str, Any] = {
    "schema": 1,
    "project": "tidemark",
    "stack": "md-raid.lab",
    "experiment": "md-raid",
    "region": "eu-central-1",
    "rehearsal": True,
    "expires_at": "2026-11-23T12:00:00Z",
    "ssh": {"user": "admin", "identity_file": "~/.ssh/id_ed25519", "proxy_command": "reach %h %p"},
    "network": {"mtu": 9001, "cidr": "10.20.0.0/16", "vpc_id": "vpc-0abc"},
    "hosts": [
        {
            "name": "storage-1",
            "role": "storage",
            "id": "i-0abc",
            "type": "c4.8xlarge",
            "zone": "eu-central-1a",
            "address": "54.1.2.3",
            "port": 22,
            "private_address": "10.20.1.10",
            "host_keys": ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f"],
            "cpu_limit": 4,
            "memory_limit_mib": 2048,
            "volumes": [
                {"id": "vol-1", "device": "/dev/sdf", "size_gib": 50, "type": "gp2", "iops": 150},
                {"id": "vol-2", "device": "/dev/sdg", "size_gib": 50, "type": "st1", "iops": None},
            ],
        },
        {
            "name": "client",
            "role": "client",
            "id": "i-0def",
            "type": "c4.8xlarge",
            "zone": "eu-central-1a",
            "address": "client.example.org",
            "port": 2222,
            "private_address": "10.20.1.13",
            "host_keys": [],
            "cpu_limit": None,
            "memory_limit_mib": None,
            "volumes": [],
        },
    ],
}

WITH_FILE_SYSTEM: dict[str, Any] = {
    **EXAMPLE,
    "experiment": "efs-iops",
    "file_system": {
        "id": "fs-0abc",
        "throughput_mode": "provisioned",
        "provisioned_mib_per_s": 128,
        "performance_mode": "generalPurpose",
        "one_zone": None,
        "mount_targets": [
            {"id": "fsmt-0abc", "zone": "eu-central-1a", "address": "10.20.1.20"},
            {"id": "fsmt-0def", "zone": "eu-central-1b", "address": "10.20.2.20"},
        ],
    },
}

ELASTIC_IP = {"id": "eipalloc-0abc", "address": "54.1.2.4", "allocated": True, "reassociate": False}

FieldPath = tuple[str | int, ...]


def read(document: Any) -> Inventory:
    return Inventory.from_json(json.dumps(document), "hosts.json")


def changed(path: FieldPath, value: Any, of: dict[str, Any] = EXAMPLE) -> dict[str, Any]:
    document = copy.deepcopy(of)
    place: Any = document
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return document


def spelt(path: FieldPath) -> str:
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}"
    return text.removeprefix(".")


def all_fields(value: Any, path: FieldPath = ()) -> list[FieldPath]:
    """The paths of all object fields, outermost first."""
    if isinstance(value, dict):
        below = [(name, (*path, name)) for name in value]
        return [p for _, p in below] + [q for name, p in below for q in all_fields(value[name], p)]
    if isinstance(value, list):
        return [q for i, item in enumerate(value) for q in all_fields(item, (*path, i))]
    return []


FILE_SYSTEM_FIELDS = [path for path in all_fields(WITH_FILE_SYSTEM) if path[0] == "file_system" and len(path) > 1]


def test_reads_the_example() -> None:
    found = read(EXAMPLE)
    assert found.host("client").port == 2222
    assert [host.name for host in found.hosts_in("storage")] == ["storage-1"]
    assert found.host("storage-1").volumes[1].iops is None
    assert found.ssh.proxy_command == "reach %h %p"


def test_round_trip() -> None:
    found = read(EXAMPLE)
    assert found.to_dict() == EXAMPLE
    assert json.loads(found.to_json()) == EXAMPLE
    assert Inventory.from_json(found.to_json(), "again") == found


def test_a_persons_own_machines() -> None:
    document = copy.deepcopy(EXAMPLE)
    document |= {"expires_at": None, "region": "cellar", "rehearsal": False}
    document["ssh"] |= {"identity_file": None, "proxy_command": None}
    document["network"] |= {"vpc_id": None, "mtu": 1500}
    assert read(document).expires_at is None


def test_is_immutable() -> None:
    found = read(EXAMPLE)
    with pytest.raises(AttributeError):
        found.region = "moon"  # type: ignore[misc]


@pytest.mark.parametrize("path", all_fields(EXAMPLE), ids=spelt)
def test_a_missing_field_is_named(path: FieldPath) -> None:
    document = copy.deepcopy(EXAMPLE)
    place: Any = document
    for step in path[:-1]:
        place = place[step]
    del place[path[-1]]
    with pytest.raises(InventoryError) as refusal:
        read(document)
    assert str(refusal.value).startswith(f"hosts.json: {spelt(path)} is missing; expected ")
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("path", all_fields(EXAMPLE), ids=spelt)
@pytest.mark.parametrize("value", [{"x": 1}, 1.5, "\n"], ids=["object", "fraction", "line feed"])
def test_a_field_of_the_wrong_kind_is_named(path: FieldPath, value: Any) -> None:
    with pytest.raises(InventoryError) as refusal:
        read(changed(path, value))
    message = str(refusal.value)
    for line in message.splitlines():
        assert line.startswith(f"hosts.json: {spelt(path)}")
        assert "expected " in line or " is not a field; " in line


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("schema",), 2, "schema is 2; expected 1"),
        (("schema",), True, "schema is true; expected 1"),
        (("region",), "", 'region is ""; expected a region, such as eu-central-1'),
        (("rehearsal",), "yes", 'rehearsal is "yes"; expected true or false'),
        (
            ("expires_at",),
            "tomorrow",
            'expires_at is "tomorrow"; expected a UTC time such as 2026-11-23T12:00:00Z, or null',
        ),
        (
            ("expires_at",),
            "2026-02-30T12:00:00Z",
            'expires_at is "2026-02-30T12:00:00Z"; expected a UTC time such as 2026-11-23T12:00:00Z, or null',
        ),
        (
            ("ssh", "proxy_command"),
            "nc %h",
            'ssh.proxy_command is "nc %h"; expected a command with %h and %p in it, or null',
        ),
        (
            ("ssh", "password"),
            "x",
            "ssh.password is not a field; allowed are user, identity_file, proxy_command",
        ),
        (("network", "mtu"), 90, "network.mtu is 90; expected a whole number of bytes from 576 to 65535"),
        (
            ("network", "cidr"),
            "10.20.0.1/16",
            'network.cidr is "10.20.0.1/16"; expected an IPv4 network such as 10.20.0.0/16',
        ),
        (("hosts",), [], "hosts is []; expected a list of at least one host"),
        (
            ("hosts", 0, "name"),
            "Storage 1",
            'hosts[0].name is "Storage 1"; expected a name of a-z, 0-9 and -, such as storage-1',
        ),
        (("hosts", 1, "name"), "storage-1", "hosts[1].name is storage-1, as is hosts[0].name; each must be different"),
        (("hosts", 0, "port"), 0, "hosts[0].port is 0; expected a whole number from 1 to 65535"),
        (("hosts", 0, "port"), True, "hosts[0].port is true; expected a whole number from 1 to 65535"),
        (
            ("hosts", 0, "address"),
            "54.1.2.300",
            'hosts[0].address is "54.1.2.300"; expected an IP address or a host name where SSH answers',
        ),
        (
            ("hosts", 0, "private_address"),
            "storage-1",
            'hosts[0].private_address is "storage-1"; expected an IPv4 address such as 10.20.1.10',
        ),
        (
            ("hosts", 1, "private_address"),
            "10.20.1.10",
            "hosts[1].private_address is 10.20.1.10, as is hosts[0].private_address; each must be different",
        ),
        (
            ("hosts", 0, "host_keys"),
            ["ssh-ed25519"],
            'hosts[0].host_keys[0] is "ssh-ed25519"; expected a host key such as "ssh-ed25519 AAAA…", without a '
            "comment",
        ),
        (
            ("hosts", 0, "cpu_limit"),
            0,
            "hosts[0].cpu_limit is 0; expected a whole number of CPUs from 1 to 4096, or null",
        ),
        (
            ("hosts", 0, "volumes", 0, "id"),
            "",
            "hosts[0].volumes[0].id is \"\"; expected the volume's id, such as vol-0abc, or its disk's serial",
        ),
        (
            ("hosts", 0, "volumes", 1, "id"),
            "vol-1",
            "hosts[0].volumes[1].id is vol-1, as is hosts[0].volumes[0].id; each must be different",
        ),
        (
            ("hosts", 0, "volumes", 1, "device"),
            "/dev/sdf",
            "hosts[0].volumes[1].device is /dev/sdf, as is hosts[0].volumes[0].device; each must be different",
        ),
        (
            ("hosts", 0, "volumes", 0, "device"),
            "sdf",
            'hosts[0].volumes[0].device is "sdf"; expected a device such as /dev/sdf',
        ),
        (
            ("hosts", 0, "volumes", 0, "size_gib"),
            "50",
            'hosts[0].volumes[0].size_gib is "50"; expected a whole number of GiB from 1 to 1048576',
        ),
        (
            ("hosts", 0, "volumes", 0, "iops"),
            0,
            "hosts[0].volumes[0].iops is 0; expected a whole number of IOPS from 1 to 10000000, or null",
        ),
    ],
)
def test_malformed(path: FieldPath, value: Any, message: str) -> None:
    with pytest.raises(InventoryError) as refusal:
        read(changed(path, value))
    assert str(refusal.value) == f"hosts.json: {message}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1 column 1 is not JSON (Expecting value); expected one JSON object"),
        (
            '{"schema": 1,\n"hosts" []}',
            "line 2 column 9 is not JSON (Expecting ':' delimiter); expected one JSON object",
        ),
        ('{"schema": 1, "schema": 1}', "the field schema appears twice in one object; leave one"),
        ('{"schema": NaN}', "NaN is not JSON; leave the field null when there is no number"),
        (
            "[]",
            "the document is []; expected an object with project, stack, experiment, region, rehearsal, expires_at, "
            "ssh, network, hosts, file_system, elastic_ips, bucket, cost, schema, $schema",
        ),
        ("[" * 100_000, "is nested too deeply; expected one JSON object"),
    ],
    ids=["empty", "comma", "twice", "nan", "list", "deep"],
)
def test_not_a_document(text: str, message: str) -> None:
    with pytest.raises(InventoryError) as refusal:
        Inventory.from_json(text, "hosts.json")
    assert str(refusal.value) == f"hosts.json: {message}"


ED25519 = EXAMPLE["hosts"][0]["host_keys"][0]
RSA = base64.b64encode(b"\0\0\0\x07ssh-rsa\0\0\0\x03\1\0\1\0\0\1\1\0" + b"\xc5" * 256).decode()
ECDSA = base64.b64encode(b"\0\0\0\x13ecdsa-sha2-nistp256\0\0\0\x08nistp256\0\0\0\x41\4" + b"\x55" * 64).decode()


def test_whole_host_keys_of_each_type_are_taken() -> None:
    keys = [ED25519, f"ssh-rsa {RSA}", f"ecdsa-sha2-nistp256 {ECDSA}"]
    assert list(read(changed(("hosts", 0, "host_keys"), keys)).hosts[0].host_keys) == keys


@pytest.mark.parametrize(
    ("key", "says"),
    [
        ("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI", "and whole: its end is missing"),
        (ED25519[:-4], "and whole: its end is missing"),
        (f"{ED25519}AAAA", "and whole: its end is missing"),
        ("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA==", "and whole: its end is missing"),
        ("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5", "and whole: its length is not that of ssh-ed25519"),
        ("ssh-rsa AAAA", "and whole: its end is missing"),
        (f"ssh-rsa {RSA[:200]}", "and whole: its end is missing"),
        (ED25519.replace("ssh-ed25519", "ssh-rsa"), "ssh-rsa stands before a key of another type"),
        (f"ecdsa-sha2-nistp384 {ECDSA}", "ecdsa-sha2-nistp384 stands before a key of another type"),
        (f"{ED25519} root@host", "without a comment"),
        (f"host {ED25519}", "without a comment"),
    ],
)
def test_a_host_key_that_was_cut_or_joined_is_one_line(key: str, says: str) -> None:
    with pytest.raises(InventoryError) as refusal:
        read(changed(("hosts", 0, "host_keys"), [ED25519, key]))
    assert str(refusal.value).startswith('hosts.json: hosts[0].host_keys[1] is "')
    assert str(refusal.value).endswith(says)


@pytest.mark.parametrize(
    "stack", ["org/tidemark/dev", "../../x", ".", "..", "/etc", "a b", ".hidden", "a\\b", "x" * 101, "md-raid.läb"]
)
def test_a_stack_that_is_no_name_is_refused(stack: str) -> None:
    """It is the name of a folder below results/."""
    with pytest.raises(
        InventoryError, match=r"^hosts\.json: stack is .*; expected the stack's name, such as eip-region\.lab"
    ):
        read(changed(("stack",), stack))


@pytest.mark.parametrize("stack", ["md-raid.lab", "dev", "2026_11", "a" * 100, "-x", "_", "a..b"])
def test_a_name_that_pulumi_allows_a_stack_is_taken(stack: str) -> None:
    assert read(changed(("stack",), stack)).stack == stack


NOT_OF_A_MACHINE = ["127.0.0.1", "0.0.0.0", "0.1.2.3", "224.0.0.5", "239.255.255.255", "240.0.0.1", "255.255.255.255"]
OF_ANOTHER_FAMILY = [
    "fd00::10",
    "fe80::1%eth0",
    "::ffff:10.20.1.10",
    "10.20.1",
    "010.20.1.10",
    "0x0a140a0a",
    "10.20.1.٣",
]


@pytest.mark.parametrize("address", [*NOT_OF_A_MACHINE, *OF_ANOTHER_FAMILY])
@pytest.mark.parametrize(
    ("path", "of"),
    [
        (("hosts", 0, "private_address"), EXAMPLE),
        (("file_system", "mount_targets", 0, "address"), WITH_FILE_SYSTEM),
        (("elastic_ips", 0, "address"), EXAMPLE | {"elastic_ips": [{**ELASTIC_IP}]}),
    ],
    ids=["private", "mount target", "elastic"],
)
def test_an_address_that_no_machine_has_or_no_host_can_use_is_refused(
    address: str, path: FieldPath, of: dict[str, Any]
) -> None:
    with pytest.raises(InventoryError) as refusal:
        read(changed(path, address, of))
    assert str(refusal.value).startswith(f"hosts.json: {spelt(path)} is ")
    assert "; expected an IPv4 address such as 10.20.1.10" in str(refusal.value)


@pytest.mark.parametrize("address", ["192.168.7.7", "10.21.0.1", "10.20.0.0", "10.20.255.255"])
def test_a_private_address_outside_of_the_network_is_refused(address: str) -> None:
    with pytest.raises(InventoryError) as refusal:
        read(changed(("hosts", 1, "private_address"), address))
    assert str(refusal.value) == (
        f'hosts.json: hosts[1].private_address is "{address}"; expected an address of a host in network.cidr, '
        "10.20.0.0/16"
    )


@pytest.mark.parametrize(
    "cidr",
    [
        "0.0.0.0/0",
        "10.20.0.0/255.255.0.0",
        "10.20.0.0/0.0.255.255",
        "10.20.1.10",
        "fd00::/64",
        "10.20.0.1/16",
        "10.20.0.0/33",
        "10.20.0.0/16/8",
        "all",
    ],
)
def test_a_network_that_hosts_cannot_use_is_refused(cidr: str) -> None:
    with pytest.raises(InventoryError, match=r"network\.cidr is .*; expected an IPv4 network such as 10\.20\.0\.0/16"):
        read(changed(("network", "cidr"), cidr))


@pytest.mark.parametrize(
    ("first", "second", "shown"),
    [
        ("54.1.2.3", "54.1.2.3", "54.1.2.3"),
        ("2001:db8::1", "2001:0DB8:0:0::0001", "2001:db8::1"),
        ("Host.Example.org", "host.example.org.", "host.example.org"),
    ],
)
def test_one_machine_under_two_names_is_refused(first: str, second: str, shown: str) -> None:
    document = changed(("hosts", 0, "address"), first)
    document["hosts"][1] |= {"address": second, "port": 22}
    with pytest.raises(InventoryError) as refusal:
        read(document)
    assert str(refusal.value) == (
        f"hosts.json: hosts[1].address is {shown} port 22, as is hosts[0].address; each must be different"
    )
    document["hosts"][1]["port"] = 2222
    assert len(read(document).hosts) == 2, "behind one address, each at a port"


def test_one_instance_under_two_names_is_refused_and_ids_of_ones_own_may_be_alike() -> None:
    document = changed(("hosts", 0, "id"), "i-0123456789abcdef0")
    document["hosts"][1]["id"] = "i-0123456789abcdef0"
    with pytest.raises(InventoryError, match=r"hosts\[1\]\.id is i-0123456789abcdef0, as is hosts\[0\]\.id"):
        read(document)
    document["hosts"][0]["id"] = document["hosts"][1]["id"] = "mine"
    assert len(read(document).hosts) == 2


@pytest.mark.parametrize(
    "address",
    [
        "web-.local", "-web.local", "web..local", ".", "1.2.3.400", "1.2.3", "0x7f000001", "a.0x7F", "web_1",
        "x" * 64, ".".join(["x" * 60] * 5), "0.0.0.0", "::", "255.255.255.255", "ff02::1", "http://web",
        "web:22", "ü.de",
    ],
)  # fmt: skip
def test_where_ssh_can_not_answer_is_refused(address: str) -> None:
    with pytest.raises(InventoryError) as refusal:
        read(changed(("hosts", 0, "address"), address))
    assert "; expected an IP address or a host name where SSH answers" in str(refusal.value)


@pytest.mark.parametrize(
    "address",
    ["web.local", "web.local.", "a", "x" * 63, "1a.2b", "127.0.0.1", "2001:db8::1", "fe80::1%eth0", "xn--bcher-kva.de"],
)
def test_where_ssh_may_answer_is_taken(address: str) -> None:
    assert read(changed(("hosts", 0, "address"), address)).hosts[0].address == address


BUCKET = {"name": "tidemark-1a2b3c4", "endpoint": None, "uplink_mbit_per_s": None}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("ssh", "proxy_command"), "nc '%h %p"),
        (("hosts", 0, "volumes", 0, "device"), "/dev/../etc/passwd"),
        (("hosts", 0, "volumes", 0, "device"), "/dev/mapper/.."),
        (("elastic_ips", 0, "id"), "../../x"),
        (("elastic_ips", 0, "id"), "/x"),
        (("bucket", "name"), "192.168.1.1"),
        (("bucket", "name"), "a..b"),
        (("bucket", "endpoint"), "http://web:99999"),
        (("bucket", "endpoint"), "http://web:0"),
        (("bucket", "endpoint"), "http://..."),
        (("bucket", "endpoint"), "http://1.2.3.400/"),
    ],
)
def test_what_has_a_right_form_and_no_sense_is_refused(path: FieldPath, value: str) -> None:
    of = EXAMPLE | {"elastic_ips": [{**ELASTIC_IP}], "bucket": {**BUCKET}}
    with pytest.raises(InventoryError, match=re.escape(f"hosts.json: {spelt(path)} is ")):
        read(changed(path, value, of))


@pytest.mark.parametrize("device", ["/dev/sdf", "/dev/mapper/a..b", "/dev/disk/by-id/..x"])
@pytest.mark.parametrize("url", ["http://198.51.100.1", "https://s3.example.org:8443/", "http://localhost:5000"])
def test_what_is_odd_and_right_is_taken(device: str, url: str) -> None:
    document = changed(("hosts", 0, "volumes", 0, "device"), device) | {"bucket": BUCKET | {"endpoint": url}}
    assert read(document).to_dict() == document


@pytest.mark.parametrize("number", ["9" * 5000, "-" + "9" * 5000])
def test_a_number_of_thousands_of_digits_is_one_line(number: str) -> None:
    with pytest.raises(InventoryError) as refusal:
        Inventory.from_json(json.dumps(EXAMPLE).replace("9001", number), "hosts.json")
    assert str(refusal.value) == "hosts.json: a number has thousands of digits; correct that number"


def test_a_time_is_of_ascii_digits() -> None:
    for time in ("٢٠٢٦-11-23T12:00:00Z", "2026-1-2T3:4:5Z"):
        with pytest.raises(InventoryError, match="expires_at is "):
            read(changed(("expires_at",), time))


def test_asking_for_what_is_not_there() -> None:
    found = read(EXAMPLE)
    with pytest.raises(InventoryError, match=r"no host is named moon; its hosts are storage-1, client"):
        found.host("moon")
    with pytest.raises(InventoryError, match=r"no host has the role server; its roles are client, storage"):
        found.hosts_in("server")


class TestFileSystem:
    def test_may_be_absent_or_null(self) -> None:
        assert read(EXAMPLE).file_system is None
        assert read(EXAMPLE | {"file_system": None}) == read(EXAMPLE)

    def test_none_is_left_out_so_that_older_documents_stay_as_they_are(self) -> None:
        assert "file_system" not in read(EXAMPLE | {"file_system": None}).to_dict()

    def test_round_trip(self) -> None:
        found = read(WITH_FILE_SYSTEM)
        assert found.to_dict() == WITH_FILE_SYSTEM
        assert Inventory.from_json(found.to_json(), "again") == found

    def test_a_persons_own(self) -> None:
        document = copy.deepcopy(WITH_FILE_SYSTEM)
        document["file_system"] |= {
            "throughput_mode": None,
            "provisioned_mib_per_s": None,
            "performance_mode": None,
            "mount_targets": [{"id": "nas", "zone": "cellar", "address": "192.0.2.9"}],
        }
        assert read(document).file_system == FileSystem(
            "fs-0abc", None, None, None, None, (MountTarget("nas", "cellar", "192.0.2.9"),)
        )

    def test_a_fraction_of_a_mib_per_second_may_be_provisioned(self) -> None:
        found = read(changed(("file_system", "provisioned_mib_per_s"), 1.5, WITH_FILE_SYSTEM)).file_system
        assert found is not None
        assert found.provisioned_mib_per_s == 1.5

    @pytest.mark.parametrize("path", FILE_SYSTEM_FIELDS, ids=spelt)
    def test_a_missing_field_is_named(self, path: FieldPath) -> None:
        document = copy.deepcopy(WITH_FILE_SYSTEM)
        place: Any = document
        for step in path[:-1]:
            place = place[step]
        del place[path[-1]]
        with pytest.raises(InventoryError) as refusal:
            read(document)
        assert str(refusal.value).startswith(f"hosts.json: {spelt(path)} is missing; expected ")

    @pytest.mark.parametrize("path", FILE_SYSTEM_FIELDS, ids=spelt)
    @pytest.mark.parametrize("value", [{"x": 1}, True, -1.5, "\n"], ids=["object", "flag", "negative", "line feed"])
    def test_a_field_of_the_wrong_kind_is_named(self, path: FieldPath, value: Any) -> None:
        with pytest.raises(InventoryError) as refusal:
            read(changed(path, value, WITH_FILE_SYSTEM))
        message = str(refusal.value)
        for line in message.splitlines():
            assert line.startswith(f"hosts.json: {spelt(path)}")
            assert "expected " in line or " is not a field; " in line

    @pytest.mark.parametrize(
        ("path", "value", "message"),
        [
            (
                (),
                [],
                "file_system is []; expected an object with id, throughput_mode, provisioned_mib_per_s, "
                "performance_mode, one_zone, mount_targets, or null",
            ),
            (("mount_targets",), [], "file_system.mount_targets is []; expected a list of at least one mount target"),
            (
                ("mount_targets", 1, "zone"),
                "eu-central-1a",
                "file_system.mount_targets[1].zone is eu-central-1a, as is file_system.mount_targets[0].zone; each "
                "must be different",
            ),
            (
                ("mount_targets", 1, "id"),
                "fsmt-0abc",
                "file_system.mount_targets[1].id is fsmt-0abc, as is file_system.mount_targets[0].id; each must be "
                "different",
            ),
            (
                ("mount_targets", 0, "address"),
                "fs-0abc.efs.eu-central-1.amazonaws.com",
                'file_system.mount_targets[0].address is "fs-0abc.efs.eu-central-1.amazonaws.com"; expected an IPv4 '
                "address such as 10.20.1.10",
            ),
            (
                ("throughput_mode",),
                "enhanced",
                'file_system.throughput_mode is "enhanced"; expected one of bursting, elastic, provisioned, or null',
            ),
            (
                ("performance_mode",),
                "maxio",
                'file_system.performance_mode is "maxio"; expected one of generalPurpose, maxIO, or null',
            ),
            (
                ("provisioned_mib_per_s",),
                0,
                "file_system.provisioned_mib_per_s is 0; expected a number of MiB/s above 0 and up to 1000000, or null",
            ),
            (
                ("id",),
                "fs 0abc",
                'file_system.id is "fs 0abc"; expected the file system\'s id, such as fs-0abc, or any name of your own',
            ),
            (
                ("size_gib",),
                1,
                "file_system.size_gib is not a field; allowed are id, throughput_mode, provisioned_mib_per_s, "
                "performance_mode, one_zone, mount_targets",
            ),
        ],
    )
    def test_malformed(self, path: FieldPath, value: Any, message: str) -> None:
        with pytest.raises(InventoryError) as refusal:
            read(changed(("file_system", *path), value, WITH_FILE_SYSTEM))
        assert str(refusal.value) == f"hosts.json: {message}"

    @pytest.mark.parametrize("number", ["1e400", "-1e400", "1" + "0" * 400])
    def test_a_number_beyond_all_numbers_is_refused(self, number: str) -> None:
        text = json.dumps(WITH_FILE_SYSTEM).replace(
            '"provisioned_mib_per_s": 128', f'"provisioned_mib_per_s": {number}'
        )
        with pytest.raises(InventoryError, match=r"^hosts\.json: file_system\.provisioned_mib_per_s is "):
            Inventory.from_json(text, "hosts.json")

    def test_mount_target_in_a_zone(self) -> None:
        found = read(WITH_FILE_SYSTEM).file_system
        assert found is not None
        assert found.mount_target_in("eu-central-1b") == MountTarget("fsmt-0def", "eu-central-1b", "10.20.2.20")
        with pytest.raises(InventoryError) as refusal:
            found.mount_target_in("eu-central-1c")
        assert str(refusal.value) == (
            "fs-0abc: no mount target in eu-central-1c; it has one in eu-central-1a, eu-central-1b: add one, or use "
            "hosts of those zones"
        )


def test_needs_nothing_but_the_standard_library() -> None:
    root = Path(__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-S", "-I", "-c", f"import sys; sys.path.insert(0, {str(root)!r}); import inventory"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


names = st.from_regex(r"[a-z0-9][a-z0-9-]{0,20}", fullmatch=True)
addresses = st.ip_addresses(network="198.51.100.0/24").map(str)
words = st.text(st.characters(categories=("L", "N", "P")), min_size=1, max_size=20)


class TestElasticIps:
    def test_absent_null_and_none_are_the_same(self) -> None:
        for document in (EXAMPLE, EXAMPLE | {"elastic_ips": None}, EXAMPLE | {"elastic_ips": []}):
            assert read(document).elastic_ips == ()
            assert "elastic_ips" not in read(document).to_dict()

    def test_read_and_written(self) -> None:
        found = read(EXAMPLE | {"elastic_ips": [ELASTIC_IP]})
        assert found.elastic_ips == (ElasticIp("eipalloc-0abc", "54.1.2.4", True, False),)
        assert found.to_dict()["elastic_ips"] == [ELASTIC_IP]
        assert Inventory.from_json(found.to_json(), "again") == found

    @pytest.mark.parametrize(
        ("value", "message"),
        [
            ({}, "elastic_ips is {}; expected a list of Elastic IPs, or null"),
            (
                [{**ELASTIC_IP, "id": ""}],
                'elastic_ips[0].id is ""; expected the allocation\'s id, such as eipalloc-0abc',
            ),
            (
                [{**ELASTIC_IP, "address": "host"}],
                'elastic_ips[0].address is "host"; expected an IPv4 address such as 10.20.1.10',
            ),
            ([{**ELASTIC_IP, "allocated": 1}], "elastic_ips[0].allocated is 1; expected true or false"),
            (
                [{name: value for name, value in ELASTIC_IP.items() if name != "address"}],
                "elastic_ips[0].address is missing; expected an IPv4 address such as 10.20.1.10",
            ),
            (
                [ELASTIC_IP, {**ELASTIC_IP, "id": "eipalloc-0def"}],
                "elastic_ips[1].address is 54.1.2.4, as is elastic_ips[0].address; each must be different",
            ),
        ],
    )
    def test_wrong(self, value: Any, message: str) -> None:
        with pytest.raises(InventoryError) as refusal:
            read(EXAMPLE | {"elastic_ips": value})
        assert str(refusal.value) == f"hosts.json: {message}"


@st.composite
def file_systems(draw: st.DrawFn) -> dict[str, Any]:
    """File systems that are right."""
    zones = draw(st.lists(names, min_size=1, max_size=4, unique=True))
    return {
        "id": f"fs-{draw(names)}",
        "throughput_mode": draw(st.sampled_from([None, "bursting", "elastic", "provisioned"])),
        "provisioned_mib_per_s": draw(st.none() | st.integers(1, 3414) | st.floats(0.5, 3414)),
        "performance_mode": draw(st.sampled_from([None, "generalPurpose", "maxIO"])),
        "one_zone": draw(st.none() | names),
        "mount_targets": [
            {"id": f"fsmt-{number}", "zone": zone, "address": draw(addresses)} for number, zone in enumerate(zones)
        ],
    }


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    """Documents that are right."""
    document = copy.deepcopy(EXAMPLE)
    document["experiment"] = draw(names)
    document["rehearsal"] = draw(st.booleans())
    document["ssh"]["user"] = draw(words)
    document["network"]["mtu"] = draw(st.integers(576, 65535))
    hosts = []
    for index, name in enumerate(draw(st.lists(names, min_size=1, max_size=5, unique=True))):
        host = copy.deepcopy(EXAMPLE["hosts"][1])
        host |= {
            "name": name,
            "role": draw(names),
            "type": draw(words),
            "id": f"machine-{index}",
            "address": draw(addresses | st.ip_addresses(network="2001:db8::/32").map(str)),
            "private_address": f"10.20.1.{10 + index}",
            "port": 1 + index + 10 * draw(st.integers(0, 6000)),
            "cpu_limit": draw(st.none() | st.integers(1, 4096)),
        }
        host["volumes"] = [
            {
                "id": f"vol-{index}-{number}",
                "device": f"/dev/sd{'fghijklmnop'[number]}",
                "size_gib": draw(st.integers(1, 65536)),
                "type": draw(words),
                "iops": draw(st.none() | st.integers(1, 256_000)),
            }
            for number in range(draw(st.integers(0, 4)))
        ]
        hosts.append(host)
    document["hosts"] = hosts
    if draw(st.booleans()):
        document["file_system"] = draw(file_systems())
    return document


@given(documents())
@settings(max_examples=60, deadline=None)
def test_any_right_document_makes_the_round_trip(document: dict[str, Any]) -> None:
    found = read(document)
    assert found.to_dict() == document
    assert Inventory.from_json(found.to_json(), "again") == found


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text(), below, max_size=3),
    max_leaves=8,
)


@given(st.sampled_from(all_fields(WITH_FILE_SYSTEM)), json_values)
@settings(max_examples=300, deadline=None)
def test_any_value_anywhere_is_taken_or_refused_in_a_line_for_each_fault(path: FieldPath, value: Any) -> None:
    try:
        found, lines = read(changed(path, value, WITH_FILE_SYSTEM)), []
    except InventoryError as error:
        found, lines = None, str(error).splitlines()
    if lines and re.fullmatch(r"hosts\.json: and \d+ more", lines[-1]):
        del lines[-1]
    assert all(line.startswith(f"hosts.json: {spelt(path)}") for line in lines)
    if found is None:
        assert lines
    else:
        expected = changed(path, value, WITH_FILE_SYSTEM)
        if path == ("file_system",) and value is None:
            del expected["file_system"]
        assert found.to_dict() == expected


@given(st.text())
@settings(max_examples=200, deadline=None)
def test_any_text_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(InventoryError) as refusal:
        Inventory.from_json(text, "hosts.json")
    assert len(str(refusal.value).splitlines()) == 1


def test_a_cost_is_read_and_may_be_missing() -> None:
    cost = {"usd_per_hour": 7.41, "prices_of": "2025-06", "besides": ["$0.36 a GiB stored for a month"]}
    priced = read(changed(("cost",), cost))
    assert priced.cost == Cost(7.41, "2025-06", ("$0.36 a GiB stored for a month",))
    assert Inventory.from_json(priced.to_json(), "again") == priced
    unpriced = read(changed(("cost",), None))
    assert unpriced.cost is None
    assert "cost" not in unpriced.to_dict()


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("usd_per_hour", 0, "cost.usd_per_hour is 0; expected a number of US dollars an hour above 0"),
        ("prices_of", "June", 'cost.prices_of is "June"; expected a month such as 2025-06'),
        ("besides", None, "cost.besides is null; expected a list of prices in words"),
    ],
)
def test_a_wrong_cost_is_named(field: str, value: object, message: str) -> None:
    cost = {"usd_per_hour": 7.41, "prices_of": "2025-06", "besides": [], field: value}
    with pytest.raises(InventoryError, match=re.escape(message)):
        read(changed(("cost",), cost))


def test_all_faults_are_told_at_once_and_a_misspelt_field_once() -> None:
    document = changed(("hosts", 0, "port"), "22")
    document["hosts"][1]["adress"] = document["hosts"][1].pop("address")
    document["network"]["mtu"] = 90
    with pytest.raises(InventoryError) as refusal:
        read(document)
    assert sorted(refusal.value.lines) == [
        'hosts.json: hosts[0].port is "22"; expected a whole number from 1 to 65535',
        "hosts.json: hosts[1].adress is not a field; did you mean address?",
        "hosts.json: network.mtu is 90; expected a whole number of bytes from 576 to 65535",
    ]


def test_a_screen_of_faults_is_enough() -> None:
    with pytest.raises(InventoryError) as refusal:
        read({**EXAMPLE, "hosts": [{}] * 30})
    assert len(refusal.value.lines) == 21
    assert refusal.value.lines[-1] == "hosts.json: and 340 more"


def test_an_editor_may_be_told_the_schema() -> None:
    assert read({"$schema": "../schemas/inventory.schema.json", **EXAMPLE}) == read(EXAMPLE)
    with pytest.raises(InventoryError, match=r"\$schema is 1; expected the path or URL"):
        read({"$schema": 1, **EXAMPLE})


def test_reading_takes_less_than_50_ms_once_pydantic_is_imported() -> None:
    program = """
import sys, time
import pydantic.dataclasses, pydantic.fields, pydantic.plugin._loader, pydantic.types
from inventory import Inventory
text = sys.stdin.read()
began = time.process_time()
Inventory.from_json(text, "hosts.json")
print(time.process_time() - began)
"""
    seconds = []
    for _ in range(3):  # what else runs here makes one of them slow, not all
        ran = subprocess.run(
            [sys.executable, "-c", program],
            input=json.dumps(WITH_FILE_SYSTEM),
            capture_output=True,
            text=True,
            check=True,
            cwd=Path(__file__).parents[1],
        )
        seconds.append(float(ran.stdout))
    assert min(seconds) < 0.05
