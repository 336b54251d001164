"""Who answers at an address: a real SSH server's key, and everything else that may be there."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import paramiko
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from inventory import Ssh
from tests.workloads.fakes import host_key
from workloads.eip_region import probe
from workloads.eip_region.probe import OTHER_KEY, Endpoint, Probe, Prober, make_endpoint
from workloads.errors import WorkloadError

SSH = Ssh("admin", None, None)


@pytest.fixture
def key(tmp_path: Path) -> paramiko.Ed25519Key:
    pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    (tmp_path / "key").write_bytes(pem)
    return paramiko.Ed25519Key.from_private_key_file(str(tmp_path / "key"))


@contextlib.contextmanager
def listening(monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """A socket at the port that is knocked at."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        monkeypatch.setattr(probe, "SSH_PORT", listener.getsockname()[1])
        yield listener


@pytest.fixture
def server(key: paramiko.Ed25519Key, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with listening(monkeypatch) as listener:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    transport = paramiko.Transport(connection)
                    transport.add_server_key(key)
                    with contextlib.suppress(paramiko.SSHException, EOFError):
                        transport.start_server(event=threading.Event(), server=paramiko.ServerInterface())

        threading.Thread(target=serve, daemon=True).start()
        yield
        listener.shutdown(socket.SHUT_RDWR)


def at(key: paramiko.PKey | None, seconds: float = 5, ssh: Ssh = SSH) -> Endpoint:
    lines = [] if key is None else [f"{key.get_name()} {key.get_base64()}"]
    return make_endpoint("127.0.0.1", ssh, {"host-1": lines, "host-2": ["ssh-ed25519 AAAAOTHER"]}, seconds)


def test_the_host_is_known_by_its_key(server: None, key: paramiko.Ed25519Key) -> None:
    found = probe.probe(at(key))
    assert (found.host, found.fault) == ("host-1", None)
    assert found.connected_unix_s is not None
    assert found.started_unix_s < found.connected_unix_s < found.ended_unix_s <= time.time()


def test_two_hosts_with_one_key_are_refused() -> None:
    """A machine that was cloned with its keys: the second would have been taken for the first."""
    ssh = Ssh("root", None, None)
    with pytest.raises(
        WorkloadError, match=r"^host-2: it has the host key of host-1, and a host is recognised by its key"
    ):
        make_endpoint("192.0.2.1", ssh, {"host-1": [host_key(1)], "host-2": [host_key(2), host_key(1)]}, 1)
    assert len(make_endpoint("192.0.2.1", ssh, {"host-1": [host_key(1)] * 2, "host-2": [host_key(2)]}, 1).keys) == 2


def test_a_key_that_is_not_pinned_is_nobody(server: None) -> None:
    found = probe.probe(at(None))
    assert (found.host, found.fault) == (None, OTHER_KEY)


def test_through_a_proxy_command(server: None, key: paramiko.Ed25519Key, monkeypatch: pytest.MonkeyPatch) -> None:
    relay = (
        "python3 -c 'import socket,sys,threading,os\n"
        "s=socket.create_connection((sys.argv[1],int(sys.argv[2])))\n"
        "def up():\n"
        "    while (c:=os.read(0,65536)): s.sendall(c)\n"
        "threading.Thread(target=up,daemon=True).start()\n"
        "while (c:=s.recv(65536)): os.write(1,c)' %h %p"
    )
    silent = probe.probe(at(key, ssh=Ssh("admin", None, relay)))
    assert (silent.host, silent.connected_unix_s) == ("host-1", None), "a proxy that does not tell"
    tell = 'os.write(int(os.environ["TIDEMARK_CONNECTED_FD"]), str(time.time()).encode())\n'
    telling = relay.replace("import socket", "import time,socket").replace("def up()", f"{tell}def up()")
    told = probe.probe(at(key, ssh=Ssh("admin", None, telling)))
    assert told.host == "host-1"
    assert told.connected_unix_s is not None
    assert told.started_unix_s < told.connected_unix_s < told.ended_unix_s
    gone = probe.probe(at(key, ssh=Ssh("admin", None, "false %h %p")))
    assert gone.host is None
    assert gone.fault


def test_a_port_where_nobody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    with listening(monkeypatch):
        pass
    found = probe.probe(at(None))
    assert (found.fault, found.connected_unix_s) == ("refused", None)


def test_one_that_says_nothing_is_given_up_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    with listening(monkeypatch):
        began = time.monotonic()
        found = probe.probe(at(None, seconds=0.5))
        assert found.fault == "no answer in 0.5 s"
        assert found.connected_unix_s is not None, "the kernel has taken the connection; who listens has not"
        assert time.monotonic() - began < 60


def test_one_that_hangs_up(monkeypatch: pytest.MonkeyPatch) -> None:
    with listening(monkeypatch) as listener:

        def hang_up() -> None:
            connection, _ = listener.accept()
            connection.close()

        threading.Thread(target=hang_up, daemon=True).start()
        found = probe.probe(at(None))
        assert found.host is None
        assert found.fault


class TestProber:
    def prober(self, monkeypatch: pytest.MonkeyPatch, seconds: float, at_once: int = 2) -> Prober:
        """Each connection takes so long; a host answers it."""

        def take(_: Endpoint) -> Probe:
            began = time.time()
            time.sleep(seconds)
            return Probe(began, began, time.time(), "host-1", None)

        monkeypatch.setattr(probe, "probe", take)
        return Prober(at(None, seconds=30), 0.01, at_once)

    def test_knocks_go_on_until_the_end_and_all_are_recorded(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with self.prober(monkeypatch, 0.0) as running:
            assert running.wait_for(lambda probes: len(probes) >= 5, 120)
        found = running.probes
        assert len(found) >= 5
        assert [each.started_unix_s for each in found] == sorted(each.started_unix_s for each in found)

    def test_no_more_at_once_than_allowed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with self.prober(monkeypatch, 0.1) as running:
            assert running.wait_for(lambda probes: len(probes) >= 6, 120)
        found = running.probes
        for each in found:
            during = [p for p in found if p.started_unix_s < each.started_unix_s < p.ended_unix_s - 0.02]
            assert len(during) < 2

    def test_those_that_may_never_be_answered_hold_none_back(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(probe, "UNDER_WAY_NEAR_MOVE_SECONDS", 0.4)
        began = time.monotonic()
        with self.prober(monkeypatch, 0.8) as running:
            time.sleep(0.2)
            running.moved()
            while len(running._under_way) <= 2:
                assert time.monotonic() - began < 120
                time.sleep(0.01)
            assert time.monotonic() - began >= 0.4

    def test_what_never_comes_is_not_waited_for_longer(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with self.prober(monkeypatch, 0.0) as running:
            assert not running.wait_for(lambda _: False, 0.3)
