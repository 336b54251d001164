"""iscsi-tunnel on real hosts: attached once, lost and found again, lost for good, and refused where it must be."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.machine import wait_for
from workloads import deployment, load_inventory
from workloads.connectors.pool import ConnectionPool
from workloads.connectors.script import Script
from workloads.console import Console
from workloads.deployment import Deployment
from workloads.errors import WorkloadError
from workloads.iscsi_tunnel.attachment import attach, detach, status
from workloads.iscsi_tunnel.configure import configure
from workloads.iscsi_tunnel.endpoints import Attachment, TunnelEndpoints, script

pytestmark = [pytest.mark.kernel, pytest.mark.timeout(1200)]

MOUNT_POINT = "/mnt/tidemark-test"
# Of the disk that is written to: enough that ext4 fits, little enough that it is made in a second.
MAKE_FILE_SYSTEM = f"""
mkfs.ext4 -q -F -E lazy_itable_init=1,lazy_journal_init=1,nodiscard "$1" 65536
mkdir -p {MOUNT_POINT}
mount "$1" {MOUNT_POINT}
"""


def run_on(hosts: ConnectionPool, host: str, text: str, *arguments: str, idle_timeout_seconds: float = 300) -> str:
    """What a few lines of bash, run as root, print on a host."""
    whole = Script("test", f"set -euo pipefail\nexport PATH=/usr/sbin:/usr/bin:/sbin:/bin\n{text}\n# end of script\n")
    return hosts.connector(host).run(whole, arguments, locked=False, idle_timeout_seconds=idle_timeout_seconds).stdout


@pytest.fixture(scope="module")
def connected(iscsi_tunnel_region: Path) -> Iterator[TunnelEndpoints]:
    """Both ends, configured."""
    with deployment.connected(load_inventory.load(None, str(iscsi_tunnel_region)), Console()) as found:
        ends = TunnelEndpoints.of(found)
        configure(ends)
        yield ends


@pytest.fixture
def ends(connected: TunnelEndpoints) -> Iterator[TunnelEndpoints]:
    """Both ends, with nothing attached before and after."""
    yield connected
    run_on(connected.hosts, "client", f"umount {MOUNT_POINT} 2> /dev/null || true")
    detach(connected)


def test_a_second_configure_and_a_second_attach_change_nothing(ends: TunnelEndpoints) -> None:
    assert configure(ends) == 0
    first = attach(ends)
    assert first.changed > 0
    again = attach(ends)
    assert again == replace(first, changed=0)
    sessions = run_on(ends.hosts, "client", "ls -d /sys/class/iscsi_session/session* | wc -l")
    assert sessions.strip() == "1"
    assert first.size_bytes == ends.volume.size_gib << 30
    now = status(ends)
    assert now.attached
    assert (now.device, now.size_bytes) == (first.device, first.size_bytes)
    # Asked of tools that are not ours: the size, and that the name leads to the disk.
    said = run_on(ends.hosts, "client", 'blockdev --getsize64 "$1"; readlink -f "$1"', first.device)
    assert said.split() == [str(first.size_bytes), first.disk]
    assert detach(ends) > 0
    assert status(ends).tunnel == "detached"
    assert detach(ends) == 0


def test_no_read_waits_for_an_acknowledgement_that_is_delayed(ends: TunnelEndpoints) -> None:
    """What the routes say while a disk is attached, what the kernel counts, and that nothing of it stays."""
    hosts = ends.hosts
    routes = "ip -4 route show table all"
    before = run_on(hosts, "client", routes)
    found = attach(ends)
    now = run_on(hosts, "client", routes)
    assert f"{ends.server_host.private_address} dev vec0 proto 83" in now
    assert "quickack 1" in now
    assert f"{found.server_address} dev {found.tun} scope link src {found.client_address} congctl bbr" in now
    delayed = run_on(
        hosts,
        "client",
        """count() { nstat --zeros --ignore TcpExtDelayedACKs | awk '/TcpExtDelayedACKs/ {print $2}'; }
earlier=$(count)
dd if="$1" of=/dev/null bs=4k count=100 iflag=direct status=none
echo $(($(count) - earlier))""",
        found.device,
    )
    assert int(delayed) < 20, "of a hundred reads one after the other"
    detach(ends)
    assert run_on(hosts, "client", routes) == before


def test_tcpdump_sees_ssh_alone(ends: TunnelEndpoints) -> None:
    """A witness that is not ours, at the server: everything between the hosts, and only what is not SSH."""
    hosts = ends.hosts
    run_on(
        hosts,
        "server",
        "rm -f /tmp/all.pcap /tmp/other.pcap\n"
        'systemd-run --quiet --unit=test-all tcpdump -i vec0 -U -w /tmp/all.pcap "host $1"\n'
        'systemd-run --quiet --unit=test-other tcpdump -i vec0 -U -w /tmp/other.pcap "host $1 and not tcp port 22"\n'
        "sleep 2",
        hosts.inventory.host("client").private_address,
    )
    found = attach(ends)
    run_on(hosts, "client", 'dd if="$1" of=/dev/null bs=1M count=2 iflag=direct status=none', found.device)
    detach(ends)
    said = run_on(
        hosts,
        "server",
        "systemctl stop test-all test-other\n"
        "tcpdump -r /tmp/all.pcap 2> /dev/null | wc -l\n"
        "tcpdump -r /tmp/other.pcap 2> /dev/null | grep -vc ARP || true\n"
        "grep -c iqn.2026 /tmp/all.pcap || true",
    )
    everything, others, readable = map(int, said.split())
    assert everything > 100
    assert others == 0
    assert readable == 0


def test_ssh_killed_while_a_file_is_written(ends: TunnelEndpoints) -> None:
    """What was under way waits and is written; the file read back is the one that was sent."""
    hosts = ends.hosts
    found = attach(ends)
    run_on(hosts, "client", MAKE_FILE_SYSTEM, found.device)
    ends.client.run(script("client_cut"), ["kill"], locked=False)
    said = run_on(
        hosts,
        "client",
        f"dd if=/dev/urandom of=/run/sent bs=64k count=32 status=none\n"
        f"dd if=/run/sent of={MOUNT_POINT}/file bs=64k conv=fsync status=none\n"
        f"umount {MOUNT_POINT}; mount $1 {MOUNT_POINT}; cmp /run/sent {MOUNT_POINT}/file && echo same",
        found.device,
    )
    assert said.strip() == "same"
    assert status(ends).attached


def test_away_longer_than_the_limit_nothing_stays_mounted(ends: TunnelEndpoints) -> None:
    hosts = ends.hosts
    found = attach(ends, limit_seconds=3)
    run_on(hosts, "client", MAKE_FILE_SYSTEM, found.device)
    server = ends.server_host.private_address
    try:
        run_on(hosts, "client", 'ip route add blackhole "$1/32"', server)
        said = run_on(
            hosts,
            "client",
            'dd if="$1" of=/dev/null bs=4k count=1 skip=5000 iflag=direct 2>&1 || echo failed',
            found.device,
        )
        assert "failed" in said
        assert "Input/output error" in said
        wait_for("the attachment is given up", lambda: status(ends).tunnel == "lost", 60)
        wait_for(
            "nothing is mounted", lambda: f" {MOUNT_POINT} " not in run_on(hosts, "client", "cat /proc/mounts"), 20
        )
        assert "away longer than 3 s" in status(ends).detail
        assert not status(ends).attached
    finally:
        run_on(hosts, "client", 'ip route delete blackhole "$1/32" || true', server)
    # And it can be attached again, with what was on it.
    again = attach(ends)
    assert "ext4" in run_on(hosts, "client", 'blkid -p -o value -s TYPE "$1"', again.device)


def test_a_disk_in_use_is_not_detached(ends: TunnelEndpoints) -> None:
    found = attach(ends)
    run_on(ends.hosts, "client", MAKE_FILE_SYSTEM, found.device)
    with pytest.raises(WorkloadError, match=f"client: {found.disk} is in use .*{MOUNT_POINT}.*; unmount"):
        detach(ends)
    assert status(ends).attached


def test_a_second_client_is_refused_with_the_name_of_the_first(ends: TunnelEndpoints) -> None:
    attach(ends)
    other = TunnelEndpoints.of(Deployment(ends.hosts, ends.console), "third")
    with pytest.raises(WorkloadError, match="is attached by client; detach it there first"):
        attach(other)
    assert status(ends).attached


def test_another_host_key_is_refused_and_nothing_is_left(
    ends: TunnelEndpoints, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = ends.hosts.keys_of("third")
    monkeypatch.setitem(ends.hosts._host_keys, "server", other)
    with pytest.raises(
        WorkloadError, match="client: the server shows another host key than the pinned one; find out why"
    ):
        attach(ends)
    assert_nothing_left(ends)


def test_a_tun_device_in_use_is_named(ends: TunnelEndpoints) -> None:
    run_on(ends.hosts, "client", "ip tuntap add dev tun7 mode tun")
    try:
        with pytest.raises(WorkloadError, match="client: tun7 is in use by something else; name another number"):
            attach(ends, tun=7)
    finally:
        run_on(ends.hosts, "client", "ip link delete tun7")
    assert_nothing_left(ends)


def test_a_missing_module_is_named(ends: TunnelEndpoints) -> None:
    """On the third host, which has never loaded it."""
    # A client was cut off in an earlier test. The target keeps its session for 15 s without a packet and 30 s without
    # an answer (nopin_timeout and nopin_response_timeout of LIO).
    sessions = "head -qn1 /sys/kernel/config/target/iscsi/*/tpgt_1/acls/*/info"
    wait_for("no session is left", lambda: "No active" in run_on(ends.hosts, "server", sessions), 120)
    run_on(ends.hosts, "third", "echo install iscsi_tcp /bin/false > /etc/modprobe.d/test.conf")
    with pytest.raises(WorkloadError, match=r"third: kernel \S+ has no module iscsi_tcp; boot a kernel"):
        attach(TunnelEndpoints.of(Deployment(ends.hosts, ends.console), "third"))


def test_a_size_that_differs_is_refused(ends: TunnelEndpoints) -> None:
    hosts = ends.hosts
    inventory = hosts.inventory
    volume = replace(ends.volume, size_gib=79)
    changed = tuple(replace(h, volumes=(volume,)) if h.name == "server" else h for h in inventory.hosts)
    hosts.inventory = replace(inventory, hosts=changed)
    try:
        with pytest.raises(
            WorkloadError, match="has 85899345920 bytes, and 79 GiB are 84825604096; write 80 as its size_gib"
        ):
            attach(ends)
    finally:
        hosts.inventory = inventory
    assert_nothing_left(ends)


def test_sshd_that_lets_nobody_in_takes_the_change_back(ends: TunnelEndpoints) -> None:
    """A change that locks out is undone: the old configuration is back, and the tunnel works as before."""
    hosts = ends.hosts
    drop_in = "/etc/ssh/sshd_config.d/50-tidemark-tunnel.conf"
    before = run_on(hosts, "server", f"cat {drop_in}")
    text = script("server_ssh").text.replace("PermitTTY no", "PermitTTY nonsense")
    with pytest.raises(WorkloadError, match="server: sshd refuses the configuration"):
        hosts.connector("server").run(Script("server_ssh", text), ["tidemark-tunnel", "0", "ssh-ed25519 AAAA"])
    assert run_on(hosts, "server", f"cat {drop_in}") == before
    harmless = script("server_ssh").text.replace("ROLLBACK_SECONDS=60", "ROLLBACK_SECONDS=2")
    harmless = harmless.replace("PermitUserRC no", "PermitUserRC yes")
    hosts.connector("server").run(Script("server_ssh", harmless), ["tidemark-tunnel", "0", "ssh-ed25519 AAAA"])
    # Nobody comes to keep it.
    wait_for("the old configuration is back", lambda: run_on(hosts, "server", f"cat {drop_in}") == before, 60)
    time.sleep(1)
    attached: Attachment = attach(ends)
    assert attached.size_bytes == ends.volume.size_gib << 30


def assert_nothing_left(ends: TunnelEndpoints) -> None:
    """No tunnel, session or disk at the client."""
    assert status(ends).tunnel == "detached"
    said = run_on(
        ends.hosts,
        "client",
        "ls -d /sys/class/net/tun* /sys/class/iscsi_session/session* /sys/block/sd* 2> /dev/null || true",
    )
    assert said == ""
