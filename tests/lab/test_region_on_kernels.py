"""The region's hosts, disks and network, on real kernels."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import paramiko
import pytest

from lab import control, proxy_command
from lab.clients import Clients
from lab.errors import LabError
from lab.paths import PROJECT, lab_dir
from lab.process import HOST_OOM_SCORE, REGION_OOM_SCORE
from lab.reconcile import GIB
from lab.region import MEMORY
from tests.machine import may_lower_an_oom_score, oom_score, processes_with, wait_for

if TYPE_CHECKING:
    from mypy_boto3_ec2.client import EC2Client

pytestmark = pytest.mark.kernel

BOOT_SECONDS = 120  # four at once on two busy cores; one alone takes about five
LISTENER_PORT = 8099  # no group of md-raid opens it
RULES_SECONDS = 15
KEY_TYPES = ("ssh-ed25519",)


class Shell:
    """Commands on one host, through the internet side, its key being one that its console shows."""

    def __init__(self, ec2: EC2Client, host: dict[str, Any]) -> None:
        self.host = host
        self.ec2 = ec2
        self._transport: paramiko.Transport | None = None

    def console_keys(self) -> set[str]:
        console = self.ec2.get_console_output(InstanceId=self.host["id"])["Output"]
        return set(re.findall(r"^tidemark-host-key: (\S+ \S+)\s*$", console, re.MULTILINE))

    def offered_key(self, key_type: str) -> str:
        """The host key of a type that SSH offers to whoever connects."""
        transport = paramiko.Transport(proxy_command.connect(self.host["address"], 22))
        try:
            transport.get_security_options().key_types = (key_type,)
            transport.start_client(timeout=30)
            key = transport.get_remote_server_key()
            return f"{key.get_name()} {key.get_base64()}"
        finally:
            transport.close()

    def connect(self) -> None:
        """Once the host has booted. Raises LabError, OSError or SSHException while it has not."""
        keys = self.console_keys()
        if not keys:
            raise LabError("no keys on the console yet")
        transport = paramiko.Transport(proxy_command.connect(self.host["address"], 22))
        try:
            transport.banner_timeout = 30
            transport.start_client(timeout=30)
            key = transport.get_remote_server_key()
            assert f"{key.get_name()} {key.get_base64()}" in keys
            transport.auth_publickey("admin", paramiko.Ed25519Key.from_private_key_file(str(lab_dir() / "id_ed25519")))
        except BaseException:
            transport.close()
            raise
        self._transport = transport

    def connects(self) -> bool:
        self.close()
        with contextlib.suppress(LabError, OSError, EOFError, paramiko.SSHException):
            self.connect()
        return self._transport is not None

    def run(self, command: str) -> tuple[int, str]:
        """Exit code and all that it said, as root."""
        if self._transport is None or not self._transport.is_active():
            wait_for(f"SSH on {self.host['name']}", self.connects, BOOT_SECONDS)
        assert self._transport is not None
        channel = self._transport.open_session(timeout=30)
        channel.settimeout(60)
        channel.set_combine_stderr(True)
        channel.exec_command("sudo bash -s")
        channel.sendall(command.encode())
        channel.shutdown_write()
        said = b""
        while chunk := channel.recv(65536):
            said += chunk
        return channel.recv_exit_status(), said.decode()

    def check(self, command: str) -> str:
        code, said = self.run(command)
        assert code == 0, f"{self.host['name']}: {command}: exit code {code}: {said}"
        return said

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()
            self._transport = None


@pytest.fixture(scope="module")
def ec2(md_raid_region: Path) -> EC2Client:
    region = control.running()
    return Clients(region.url, region.region).ec2


@pytest.fixture(scope="module")
def hosts(md_raid_region: Path, ec2: EC2Client) -> Iterator[dict[str, Shell]]:
    """All of md-raid's, booted."""
    shells = {host["name"]: Shell(ec2, host) for host in json.loads(md_raid_region.read_text())["hosts"]}
    for name, shell in shells.items():
        wait_for(f"SSH on {name}", shell.connects, BOOT_SECONDS)
    yield shells
    for shell in shells.values():
        shell.close()


@pytest.mark.usefixtures("md_raid_region")
class TestHosts:
    """The shared region."""

    def test_the_console_shows_the_keys_that_ssh_offers(self, hosts: dict[str, Shell]) -> None:
        assert sorted(hosts) == ["client", "storage-1", "storage-2", "storage-3"]
        seen: set[str] = set()
        for shell in hosts.values():
            keys = shell.console_keys()
            offered = {shell.offered_key(key_type) for key_type in KEY_TYPES}
            assert offered == keys
            seen |= keys
        assert len(seen) == len(hosts) * len(KEY_TYPES)  # none is built into the image

    def test_a_person_logs_in_by_name(self, hosts: dict[str, Shell], md_raid_region: Path) -> None:
        aside = md_raid_region.rename(md_raid_region.with_suffix(".aside"))  # pulumi up writes none
        try:
            command = [sys.executable, "-m", "lab", "ssh", "storage-2", "hostname"]
            done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=60, check=False)
        finally:
            aside.rename(md_raid_region)
        assert (done.returncode, done.stdout) == (0, "storage-2\n"), done.stderr

    def test_9001_bytes_pass_between_hosts_unfragmented_and_no_more(self, hosts: dict[str, Shell]) -> None:
        to = hosts["storage-2"].host["private_address"]
        for name in ("client", "storage-1"):
            hosts[name].check(f"ping -M do -c 1 -W 5 -s 8973 {to}")
            code, said = hosts[name].run(f"ping -M do -c 1 -W 2 -s 8974 {to}")
            assert code != 0
            assert "message too long, mtu=9001" in said

    def test_memory_and_system_are_as_asked(self, hosts: dict[str, Shell]) -> None:
        for shell in hosts.values():
            total_kib = int(shell.check("awk '/MemTotal/ {print $2}' /proc/meminfo"))
            assert shell.host["memory_limit_mib"] * 0.9 < total_kib / 1024 <= shell.host["memory_limit_mib"]
            assert shell.check("hostname").strip() == shell.host["name"]
            assert 'VERSION_ID="12"' in shell.check("cat /etc/os-release")

    def test_the_region_is_killed_last_when_memory_runs_out_and_has_its_hosts_memory_itself(
        self, hosts: dict[str, Shell]
    ) -> None:
        """And not in /dev/shm, which may be small."""
        region = control.running()
        root = Path(f"/proc/{region.pid}/root")
        processes = root / "proc"
        memory = (root / str(lab_dir()).lstrip("/") / MEMORY).stat().st_dev
        assert oom_score(region.pid) == (REGION_OOM_SCORE if may_lower_an_oom_score() else oom_score(os.getpid()))
        for shell in hosts.values():
            process = processes / str(pid_of(shell.host["id"]))
            assert oom_score(process) == HOST_OOM_SCORE
            mapped = {line.split()[3] for line in (process / "maps").read_text().splitlines()}
            assert f"{os.major(memory):02x}:{os.minor(memory):02x}" in mapped

    def test_the_machine_ends_itself_when_its_lifetime_is_over(self, hosts: dict[str, Shell]) -> None:
        for shell in hosts.values():
            assert shell.check("systemctl is-active tidemark-expiry.timer").strip() == "active"
            assert "tidemark-expiry.timer" in shell.check("systemctl list-timers --no-legend tidemark-expiry.timer")

    def test_a_host_stays_on_one_cpu_and_each_cpu_has_its_share(self, hosts: dict[str, Shell]) -> None:
        found: list[int] = []
        for shell in hosts.values():
            (cpu,) = cpus_of(f"umid={shell.host['id']}")  # of the kernel and its processes
            found.append(int(cpu))
        shares = [found.count(cpu) for cpu in os.sched_getaffinity(control.running().pid)]
        assert max(shares) - min(shares) <= 1

    def test_volumes_are_there_by_serial_and_size_as_the_api_says(
        self, hosts: dict[str, Shell], ec2: EC2Client
    ) -> None:
        attached = {
            (attachment["InstanceId"], volume["VolumeId"]): volume["Size"]
            for volume in ec2.describe_volumes()["Volumes"]
            for attachment in volume["Attachments"]
            if attachment["Device"].startswith("/dev/sd") and attachment["Device"] != "/dev/sda1"
        }
        found: dict[tuple[str, str], int] = {}
        for name, shell in hosts.items():
            if name != "client":
                wait_for(f"volumes of {name}", lambda s=shell: len(disks(s)) == 5, 30)  # type: ignore[misc]
            found |= {(shell.host["id"], serial): size for serial, size in disks(shell).items()}
            assert {volume["id"] for volume in shell.host["volumes"]} == set(disks(shell))
        assert found == attached
        assert len(found) == 15

    def test_a_volume_attached_to_a_running_host_appears_and_detached_goes(
        self, hosts: dict[str, Shell], ec2: EC2Client
    ) -> None:
        client = hosts["client"]
        volume_id = ec2.create_volume(AvailabilityZone=client.host["zone"], Size=3)["VolumeId"]
        try:
            ec2.attach_volume(VolumeId=volume_id, InstanceId=client.host["id"], Device="/dev/sdf")
            wait_for("the volume appears", lambda: disks(client) == {volume_id: 3}, 15)
            assert client.check(f"head -c 1M {device_of(client, volume_id)} | tr -d '\\0' | wc -c").strip() == "0"
        finally:
            ec2.detach_volume(VolumeId=volume_id, InstanceId=client.host["id"])
            wait_for("the volume goes", lambda: disks(client) == {}, 15)
            ec2.delete_volume(VolumeId=volume_id)
        wait_for("its disk is deleted", lambda: volume_id not in volume_files(), 15)
        assert len(volume_files()) == 15

    def test_a_port_that_no_group_opens_is_closed_until_a_rule_opens_it_and_again_after(
        self, hosts: dict[str, Shell], ec2: EC2Client, listener: str
    ) -> None:
        client, storage = hosts["client"], hosts["storage-1"].host
        assert not opens(client, listener)
        group = ec2.describe_instances(InstanceIds=[storage["id"]])["Reservations"][0]["Instances"][0][
            "NetworkInterfaces"
        ][0]["Groups"][0]["GroupId"]
        rule: Any = {
            "IpProtocol": "tcp",
            "FromPort": LISTENER_PORT,
            "ToPort": LISTENER_PORT,
            "UserIdGroupPairs": [{"GroupId": group}],
        }
        for _ in range(2):
            ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[rule])
            wait_for("it is open", lambda: opens(client, listener), RULES_SECONDS)
            ec2.revoke_security_group_ingress(GroupId=group, IpPermissions=[rule])
            wait_for("it is closed", lambda: not opens(client, listener), RULES_SECONDS)

    def test_from_the_internet_ssh_is_open_and_nothing_else(self, hosts: dict[str, Shell], listener: str) -> None:
        address = hosts["storage-1"].host["address"]
        with proxy_command.connect(address, 22) as connection:
            assert connection.recv(8) == b"SSH-2.0-"
        closed = [(address, LISTENER_PORT), (address, 3260)]
        closed += [(hosts["storage-1"].host["private_address"], 22)]  # a VPC's own addresses mean nothing beyond it
        with ThreadPoolExecutor(len(closed)) as pool:
            for attempt in [pool.submit(proxy_command.connect, *place) for place in closed]:
                with pytest.raises(OSError, match="no answer in 5 s"):  # dropped, not refused
                    attempt.result()

    def test_a_forced_stop_and_a_start_keep_the_disks(
        self, hosts: dict[str, Shell], ec2: EC2Client, md_raid_region: Path
    ) -> None:
        shell = hosts["storage-3"]
        instance_id = shell.host["id"]
        boot, key, before = boot_of(shell), shell.console_keys(), disks(shell)
        shell.check("echo kept >/root/marker; sync; echo lost >/dev/shm/marker")
        began = time.monotonic()
        ec2.stop_instances(InstanceIds=[instance_id], Force=True)
        wait_for("the power is cut", lambda: pid_of(instance_id) is None, 10)
        assert "storage-3: power cut" in (lab_dir() / "events").read_text()
        shell.close()
        ec2.start_instances(InstanceIds=[instance_id])
        wait_for("it runs again", lambda: pid_of(instance_id) is not None, 10)
        follow_address(md_raid_region, shell)
        assert shell.check("cat /root/marker; cat /dev/shm/marker 2>/dev/null || echo none").split() == ["kept", "none"]
        assert time.monotonic() - began < BOOT_SECONDS
        assert boot_of(shell) != boot
        assert shell.console_keys() == key
        assert disks(shell) == before
        shell.check("rm /root/marker")

    def test_an_instance_that_powers_itself_off_ends_as_it_was_launched_to(
        self, hosts: dict[str, Shell], ec2: EC2Client
    ) -> None:
        like = ec2.describe_instances(InstanceIds=[hosts["client"].host["id"]])["Reservations"][0]["Instances"][0]
        launched = {
            behavior: ec2.run_instances(
                ImageId=like["ImageId"],
                InstanceType="t3.micro",
                MinCount=1,
                MaxCount=1,
                SubnetId=like["SubnetId"],
                UserData="#!/bin/sh\nsystemctl --no-block poweroff\n",
                InstanceInitiatedShutdownBehavior=behavior,
                TagSpecifications=[
                    {"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": f"short-lived-{behavior}"}]}
                ],
            )["Instances"][0]["InstanceId"]
            for behavior in ("terminate", "stop")
        }

        def state(behavior: str) -> str:
            found = ec2.describe_instances(InstanceIds=[launched[behavior]])["Reservations"][0]["Instances"][0]
            return str(found["State"]["Name"])

        try:
            wait_for("terminated", lambda: state("terminate") == "terminated", BOOT_SECONDS)
            wait_for("stopped", lambda: state("stop") == "stopped", BOOT_SECONDS)
        finally:
            ec2.terminate_instances(InstanceIds=list(launched.values()))
        wait_for("their hosts are gone", lambda: not {h["id"] for h in hosts_now()} & set(launched.values()), 15)
        disks = [lab_dir() / "hosts" / instance_id / "root.cow" for instance_id in launched.values()]
        wait_for("their disks are gone", lambda: not any(disk.exists() for disk in disks), 15)


@pytest.fixture
def listener(hosts: dict[str, Shell]) -> Iterator[str]:
    """The private address of storage-1, where something listens on LISTENER_PORT."""
    storage = hosts["storage-1"]
    program = (
        f"import socket\ns = socket.create_server(('', {LISTENER_PORT}))\nwhile True:\n    s.accept()[0].close()\n"
    )
    storage.check(f'systemd-run --quiet --unit=tidemark-test-listener python3 -c "{program}"')
    wait_for("it listens", lambda: storage.run(f"</dev/tcp/127.0.0.1/{LISTENER_PORT}")[0] == 0, 15)
    yield storage.host["private_address"]
    storage.check("systemctl stop tidemark-test-listener")


def volume_files() -> list[str]:
    """The volumes' files, which only the region's own namespace shows."""
    region = control.running()
    return [path.name for path in (Path(f"/proc/{region.pid}/root") / str(lab_dir() / "volumes")[1:]).iterdir()]


def cpus_of(word: str) -> set[str]:
    """The CPUs, as a list such as 0-3, of each process of this machine that has `word` among its arguments, and of
    those that it started.
    """
    family = {int(entry.name) for entry in processes_with(word)}
    parents: dict[int, int] = {}
    cpus: dict[int, str] = {}
    for entry in Path("/proc").glob("[0-9]*/status"):
        with contextlib.suppress(OSError):  # it ended while we looked
            fields = dict(line.split(":\t", 1) for line in entry.read_text().splitlines() if ":\t" in line)
            parents[int(fields["Pid"])] = int(fields["PPid"])
            cpus[int(fields["Pid"])] = fields["Cpus_allowed_list"]
    while found := {pid for pid, parent in parents.items() if parent in family} - family:
        family |= found
    assert len(family) > 1
    return {cpus[pid] for pid in family if pid in cpus}


def follow_address(inventory: Path, shell: Shell) -> None:
    """A start gives an instance another public address, as on EC2; whoever uses the region next must find it, too."""
    found = shell.ec2.describe_instances(InstanceIds=[shell.host["id"]])["Reservations"][0]["Instances"][0]
    shell.host["address"] = found["PublicIpAddress"]
    document = json.loads(inventory.read_text())
    for host in document["hosts"]:
        if host["id"] == shell.host["id"]:
            host["address"] = found["PublicIpAddress"]
    inventory.write_text(json.dumps(document))


def opens(shell: Shell, address: str) -> bool:
    code, _ = shell.run(f"timeout 1 bash -c '</dev/tcp/{address}/{LISTENER_PORT}'")
    return code == 0


def disks(shell: Shell) -> dict[str, int]:
    """Serial to size in GiB, of all disks that have one."""
    said = shell.check('for disk in /sys/block/ubd*; do echo "$(cat $disk/serial 2>/dev/null) $(cat $disk/size)"; done')
    return {
        words[0]: int(words[1]) * 512 // GIB
        for line in said.splitlines()
        if len(words := line.split()) == 2 and words[0].startswith("vol-")
    }


def device_of(shell: Shell, volume_id: str) -> str:
    return shell.check(f"grep -l '^{volume_id}' /sys/block/*/serial | sed 's,/sys/block/,/dev/,; s,/serial,,'").strip()


def boot_of(shell: Shell) -> str:
    return shell.check("cat /proc/sys/kernel/random/boot_id")


def hosts_now() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = control.status()["hosts"]
    return found


def pid_of(instance_id: str) -> int | None:
    return {host["id"]: host["pid"] for host in hosts_now()}.get(instance_id)
