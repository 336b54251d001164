"""The recovery sheet: filled in whole, without a secret, and its commands are what is read out of it."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.workloads.fakes import inventory_document, inventory_of
from workloads.encrypted_backup import recovery_sheet
from workloads.errors import WorkloadError

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPtZZQZ2Zf0nSdYzOzBR0m7tV2zKQnV3xJ1ebcq1OZ0p"
FACTS = {
    "stack": "encrypted-backup.eu-central-1",
    "region": "eu-central-1",
    "instance": "i-0123456789abcdef0",
    "server_name": "server",
    "volume": "vol-0123456789abcdef0",
    "size_gib": "80",
    "size_bytes": "85899345920",
    "user": "tidemark-tunnel",
    "server_tun": "0",
    "server_address": "198.18.83.1",
    "client_address": "198.18.83.2",
    "iqn": "iqn.2026-11.io.tidemark:server.vol-0123456789abcdef0",
    "initiator": "iqn.2026-11.io.tidemark:initiator.client",
    "port": "3260",
    "mtu_bytes": "16380",
    "device": "/dev/disk/by-id/wwn-0x6001405",
}


@pytest.fixture
def page() -> str:
    return recovery_sheet.rendered(FACTS, [KEY], ["/home"])


def test_every_field_is_filled_in_and_every_fact_is_there(page: str) -> None:
    assert not re.findall(r"@[A-Z_]+@", page)
    for value in (*FACTS.values(), KEY, "tidemark-tunnel@", "`/home`"):
        assert value in page


def test_commands_are_the_pages_own_text_in_its_order(page: str) -> None:
    blank, server = recovery_sheet.commands(page), recovery_sheet.commands(page, "server")
    assert all(block in page for block in [*blank, *server])
    assert [page.index(block) for block in blank] == sorted(page.index(block) for block in blank)
    assert "ssh -f -N -w 9:0" in "".join(blank)
    assert "cryptsetup open /dev/disk/by-id/wwn-0x6001405" in "".join(blank)
    assert "chpasswd" in server[0]
    assert "usermod --lock" in server[1]
    assert len(server) == 2


def test_a_person_is_told_of_the_header_and_of_the_risk(page: str) -> None:
    assert "luksHeaderBackup" in page
    assert "The risk:" in page
    assert "PRIVATE KEY" not in page


def test_bash_understands_every_block(page: str) -> None:
    for block in [*recovery_sheet.commands(page), *recovery_sheet.commands(page, "server")]:
        done = subprocess.run(["bash", "-n"], input=block, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


def test_fingerprints_are_those_that_ssh_shows(tmp_path: Path) -> None:
    public = tmp_path / "key.pub"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "key")], check=True)
    shown = subprocess.run(["ssh-keygen", "-l", "-f", str(public)], capture_output=True, text=True, check=True).stdout
    kind, fingerprint = recovery_sheet.fingerprint(public.read_text()).split()
    assert kind == "ssh-ed25519"
    assert fingerprint == shown.split()[1]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("server_tun", "0; reboot"),
        ("server_tun", ""),
        ("server_address", "198.18.83.1 dev lo"),
        ("client_address", "$(reboot)"),
        ("device", "/dev/sda; reboot"),
        ("iqn", "iqn.2026-11.io:a b"),
        ("instance", "i-0\nreboot"),
        ("size_bytes", "1; reboot"),
        ("stack", "a\n```sh\nreboot\n```\n"),
    ],
)
def test_what_a_server_or_an_inventory_says_is_no_command(field: str, value: str) -> None:
    with pytest.raises(WorkloadError, match=f"the sheet can't name {field} "):
        recovery_sheet.rendered({**FACTS, field: value}, [KEY], [])


def test_a_host_key_is_no_command() -> None:
    with pytest.raises(WorkloadError, match="the sheet can't name host_keys "):
        recovery_sheet.rendered(FACTS, [KEY, f"{KEY}\nEND\nreboot"], [])


def test_a_source_of_any_name_is_no_command(page: str) -> None:
    odd = recovery_sheet.rendered(FACTS, [KEY], ["/home\n```sh\nreboot\n```\n", "/a`|b", "/@USER@"])
    assert recovery_sheet.commands(odd) == recovery_sheet.commands(page)
    assert "`/a??b`, `/?USER?`" in odd


def test_the_inventory_and_the_server_fill_in_every_field() -> None:
    seen = {"tun": "0", "local": "198.18.83.1", "remote": "198.18.83.2", "size_bytes": 80 << 30}
    server = inventory_of(inventory_document()).hosts_in("storage")[0]
    context: Any = SimpleNamespace(
        inventory=SimpleNamespace(stack="encrypted-backup.lab", region="eu-central-1"),
        server_host=server,
        volume=server.volumes[0],
        server=SimpleNamespace(run=lambda script: SimpleNamespace(facts=[seen, {"devices": "tun0"}])),
        iqn=FACTS["iqn"],
        initiator=lambda name: FACTS["initiator"],
        client_name="client",
        device=FACTS["device"],
        hosts=SimpleNamespace(keys_of=lambda name: [KEY]),
    )
    page = recovery_sheet.page_of(context, [])
    assert not re.findall(r"@[A-Z_]+@", page)
    assert f"{80 << 30}" in page
    del seen["tun"]
    with pytest.raises(WorkloadError, match="no client has ever attached the volume"):
        recovery_sheet.page_of(context, [])


def test_the_newest_snapshot_is_one(page: str, tmp_path: Path) -> None:
    """Not whatever else a person has put beside them."""
    for name in ("2026-01-01T000000Z", "2026-01-02T000000Z", "2026-01-02-mine", "zz", ".partial-2026-01-03T000000Z"):
        (tmp_path / name).mkdir()
    (line,) = re.findall(r"^snapshot=.*$", page, re.MULTILINE)
    script = line.replace("/root/recovery/volume/snapshots", str(tmp_path)) + "\necho $snapshot"
    done = subprocess.run(["bash", "-euo", "pipefail", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "2026-01-02T000000Z\n"
