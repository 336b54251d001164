"""Pinned host keys, and what a run leaves on disk."""

from __future__ import annotations

import dataclasses
import json
import threading
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import paramiko
import pytest
from botocore.exceptions import ClientError

from inventory import Host, Inventory
from tests.workloads.fake_clock import FakeClock
from tests.workloads.fakes import inventory_document, inventory_of
from workloads.connectors.pool import ConnectionPool, in_threads
from workloads.connectors.ssh import Unreachable, connect_error, pin
from workloads.errors import WorkloadError
from workloads.host_keys import console_of, host_keys, keys_in, pin_keys, pinned_keys
from workloads.paths import state_dir
from workloads.results import NullResults, Results

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f"
OTHER_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB8eHRwbGhkYFxYVFBMSERAPDg0MCwoJCAcGBQQDAgEA"

NOBODY_GONE: Any = SimpleNamespace(check=lambda _: None)


def keyless() -> Inventory:
    """An inventory whose hosts' keys are on their consoles."""
    document = inventory_document()
    for host in document["hosts"]:
        host["host_keys"] = []
    return inventory_of(document)


def test_keys_on_a_console() -> None:
    console = (
        "[    1.0] random: crng\r\n"
        f"cloud-init: tidemark-host-key: {KEY}\r\n"
        f"tidemark-host-key: {KEY}\r\n"
        "tidemark-host-key: ssh-rsa AAAAB3NzaC1yc2EAAAADAQAB"
    )
    # The last line is still being written: what is there may be half a key.
    assert keys_in(console) == (KEY,)


def test_a_key_that_the_kernel_wrote_into_is_none() -> None:
    """The next look at the console may show it whole; pinned, it would never be right."""
    console = f"tidemark-host-key: {KEY[:40]}[    5.1] random: crng init done\r\ntidemark-host-key: ssh-rsa AAAA\n"
    assert keys_in(console) == ()
    assert keys_in(f"{console}tidemark-host-key: {OTHER_KEY}\r\n") == (OTHER_KEY,)


def write_pinned(content: str) -> None:
    state_dir().mkdir(exist_ok=True)
    (state_dir() / "host-keys.json").write_text(content)


def test_a_kept_key_that_is_none_is_named() -> None:
    for keys in ([], [KEY[:40]], [KEY, "ssh-rsa AAAA"]):
        write_pinned(json.dumps({"i-0abc": keys}))
        with pytest.raises(WorkloadError, match=r"keys\.json has no whole host key for i-0abc; remove that line"):
            pinned_keys()


def test_keys_are_waited_for_and_kept(monkeypatch: pytest.MonkeyPatch, clock: FakeClock) -> None:
    inventory = keyless()
    asked: list[str] = []

    def console(instance_id: str) -> str:
        asked.append(instance_id)
        return "" if len(asked) <= 2 else f"tidemark-host-key: {KEY}\n"

    monkeypatch.setattr("workloads.host_keys.console_of", lambda _: console)
    keys = host_keys(inventory, watch=NOBODY_GONE, tell=lambda _: None)
    assert keys == {host.name: (KEY,) for host in inventory.hosts}
    assert clock.slept == [1.0]
    asked.clear()
    again = host_keys(inventory, tell=lambda _: None)
    assert (again, asked) == (keys, [])


class Ec2Consoles:
    """GetConsoleOutput: what is kept of a boot for an hour, and the console of this moment, on types that have it."""

    def __init__(self, kept: str, latest: str | None) -> None:
        self.kept, self.latest = kept, latest
        self.asked: list[bool] = []

    def get_console_output(self, *, InstanceId: str, Latest: bool = False) -> dict[str, str]:
        self.asked.append(Latest)
        if not Latest:
            return {"Output": self.kept} if self.kept else {}
        if self.latest is None:
            raise ClientError({"Error": {"Code": "UnsupportedOperation", "Message": "no"}}, "GetConsoleOutput")
        return {"Output": self.latest}


@pytest.mark.parametrize(
    ("kept", "latest", "keys", "asked"),
    [
        (f"tidemark-host-key: {KEY}\n", None, (KEY,), [False]),
        ("", f"tidemark-host-key: {KEY}\n", (KEY,), [False, True]),
        ("booting\n", "booting\n", (), [False, True]),
        ("", None, (), [False, True]),
    ],
)
def test_the_console_of_now_is_asked_where_the_kept_one_shows_no_key(
    kept: str, latest: str | None, keys: tuple[str, ...], asked: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    ec2 = Ec2Consoles(kept, latest)
    monkeypatch.setattr("workloads.host_keys.ec2_client", lambda _: ec2)
    assert keys_in(console_of("eu-central-1")("i-1")) == keys
    assert ec2.asked == asked


def test_a_console_that_shows_no_key_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """As when the first task comes hours after the stack: then waiting is no remedy."""
    remedy = "aws ec2 reboot-instances --instance-ids i-[0-9a-f]+ --region eu-central-1"
    told = f"storage-1: its console shows no host key after 0 s; EC2 may take longer.*hour after a boot.*{remedy}"
    monkeypatch.setattr("workloads.host_keys.console_of", lambda _: lambda _: "booting\n")
    monkeypatch.setattr("workloads.host_keys.CONSOLE_TIMEOUT_SECONDS", 0)
    with pytest.raises(WorkloadError, match=told):
        host_keys(keyless(), watch=NOBODY_GONE, tell=lambda _: None)


def test_a_changed_key_is_refused_with_the_hosts_name(inventory: Inventory) -> None:
    host = inventory.hosts[0]
    pin_keys(host, [KEY])
    pin_keys(host, [KEY])
    with pytest.raises(WorkloadError, match=r"^storage-1: the console of .* shows other host keys than those pinned"):
        pin_keys(host, [OTHER_KEY])


def test_a_damaged_store_is_named() -> None:
    for content in ("{", '["x"]', '{"i-1": "key"}', "[" * 100_000):
        write_pinned(content)
        with pytest.raises(WorkloadError, match=r"keys.json .*; remove it"):
            pinned_keys()


def at_port(host: Host, port: int) -> Host:

    return dataclasses.replace(host, port=port)


def test_only_pinned_keys_are_known_to_the_client(inventory: Inventory) -> None:
    for port, name in ((22, "198.51.100.11"), (2222, "[198.51.100.11]:2222")):
        client = paramiko.SSHClient()
        pin(client, at_port(inventory.hosts[0], port), [KEY])
        assert list(client.get_host_keys().keys()) == [name]
        assert isinstance(client._policy, paramiko.RejectPolicy)  # type: ignore[attr-defined]


def test_another_hosts_key_is_one_line(inventory: Inventory) -> None:
    host = inventory.hosts[1]
    key = paramiko.hostkeys.HostKeyEntry.from_line(f"x {KEY}")
    assert key is not None
    assert key.key is not None
    error = connect_error(host, inventory.ssh, paramiko.BadHostKeyException("h", key.key, key.key), "", hung_up=False)
    assert str(error).startswith("storage-2: the host at 198.51.100.12 port 22 shows another host key than the pinned")
    assert "\n" not in str(error)


@pytest.mark.parametrize(
    ("proxy_command", "remedy"),
    [
        (None, "see whether the host is up and whether its security group lets your address in (tidemark:sshCidr)"),
        ("python3 -m lab.reach %h %p", "see whether the host is up"),  # a rehearsal's
    ],
)
def test_who_rehearses_is_not_sent_to_a_security_group(
    inventory: Inventory, proxy_command: str | None, remedy: str
) -> None:
    ssh = dataclasses.replace(inventory.ssh, proxy_command=proxy_command)
    error = connect_error(inventory.hosts[0], ssh, TimeoutError("timed out"), "", hung_up=False)
    assert (error.what, error.remedy) == ("SSH at 198.51.100.11 port 22 does not answer (timed out)", remedy)


def test_a_server_that_does_not_answer() -> None:
    document = inventory_document()
    document["ssh"]["proxy_command"] = "sh -c 'echo no route to %h %p >&2; exit 1'"
    inventory = inventory_of(document)
    hosts = ConnectionPool(inventory, {host.name: (KEY,) for host in inventory.hosts})
    with pytest.raises(Unreachable, match=r"storage-1: SSH at 198.51.100.11 port 22 does not answer \(no route to 198"):
        hosts.connector("storage-1")


def test_a_key_file_that_is_not_there() -> None:
    document = inventory_document()
    document["ssh"]["identity_file"] = "/no/such/key"
    inventory = inventory_of(document)
    hosts = ConnectionPool(inventory, {host.name: (KEY,) for host in inventory.hosts})
    with pytest.raises(WorkloadError, match=r"storage-1: ssh.identity_file /no/such/key is not there; give the file"):
        hosts.connector("storage-1")


def test_threads_all_end_before_the_first_error_is_raised(capsys: pytest.CaptureFixture[str]) -> None:
    ended: list[str] = []

    def fail(name: str) -> None:
        ended.append(name)
        raise WorkloadError("broke", "mend it", name)

    with pytest.raises(WorkloadError, match=r"^a: broke"):
        in_threads({name: lambda name=name: fail(name) for name in ("b", "a")}, lambda: None)  # type: ignore[misc]
    assert sorted(ended) == ["a", "b"]
    assert capsys.readouterr().err == "tidemark: b: broke; mend it\n"


@pytest.mark.parametrize(("threads_max", "at_once"), [(None, 6), (3, 3)])
def test_so_much_work_runs_at_the_same_time_and_all_of_it(threads_max: int | None, at_once: int) -> None:
    """The barrier breaks unless as many threads meet there; a fourth one would leave the last round with too few."""
    barrier = threading.Barrier(at_once)
    running, most = set(), 0
    guard = threading.Lock()

    def work(name: str) -> str:
        nonlocal most
        with guard:
            running.add(name)
            most = max(most, len(running))
        barrier.wait(timeout=120)
        with guard:
            running.remove(name)
        return name

    names = "abcdef"
    done = in_threads({name: partial(work, name) for name in names}, lambda: None, threads_max=threads_max)
    assert done == {name: name for name in names}
    assert most == at_once


def test_a_run_begins_as_running_and_ends_as_it_ended(inventory: Inventory) -> None:
    results = Results.start(inventory, plan={"name": "short"}, versions={"python": "3"})

    def on_disk() -> dict[str, object]:
        document: dict[str, object] = json.loads((results.directory / "manifest.json").read_text())
        return document

    assert on_disk()["status"] == "running"
    with results.recording():
        results.append("drill", {"event": "killed"})
        # Flushed at once: another reader sees it while the run goes on.
        assert (results.directory / "raw/drill.ndjson").read_text() == '{"event":"killed"}\n'
        results.step("run", 1.234, None)
    assert (on_disk()["status"], on_disk()["reason"]) == ("complete", None)
    assert on_disk()["steps"] == [{"name": "run", "seconds": 1.23, "changed": None}]
    with pytest.raises(WorkloadError), results.recording():
        raise WorkloadError("broke", "mend it", "client")
    assert (on_disk()["status"], on_disk()["reason"]) == ("failed", "client: broke; mend it")
    with pytest.raises(KeyboardInterrupt), results.recording():
        raise KeyboardInterrupt
    assert (on_disk()["status"], on_disk()["reason"]) == ("failed", "interrupted")


def test_results_hold_nothing_of_how_to_log_in() -> None:
    document = inventory_document()
    document["ssh"] = {"user": "hush", "identity_file": "/home/hush/key", "proxy_command": "hush %h %p"}
    results = Results.start(inventory_of(document))
    assert "hush" not in (results.directory / "manifest.json").read_text()


def test_two_runs_in_one_second_have_their_own_directories(inventory: Inventory) -> None:
    first, second = (Results.start(inventory) for _ in range(2))
    assert first.directory != second.directory
    latest = Results.latest(inventory)
    assert latest is not None
    assert latest.directory == second.directory


def test_a_stream_has_a_plain_name(inventory: Inventory) -> None:
    results = Results.start(inventory)
    results.append("new-stream", {"n": 1})
    assert results.records("new-stream") == [{"n": 1}]
    for name in ("../cells", "Cells", "cells.ndjson", ""):
        with pytest.raises(ValueError, match="cannot name a stream"):
            results.append(name, {})


def test_null_results_take_everything_and_keep_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    results = NullResults()
    with results.recording():
        results.append("cells", {"cell": "one"})
        results.step("run", 1.0, None)
        results.write_file("logs/client.txt", b"words")
    assert results.records("cells") == []
    assert list(tmp_path.iterdir()) == []
