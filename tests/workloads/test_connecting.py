"""What a failed log-in means: a server of this process's own that hangs up, or says no."""

from __future__ import annotations

import contextlib
import socket
import threading
from dataclasses import replace
from pathlib import Path

import paramiko
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from inventory import Host, Inventory, Ssh
from tests.workloads.ssh_host import ssh_host
from workloads.connectors.ssh import POLL_SECONDS, Unreachable, connect
from workloads.errors import WorkloadError


class Sshd(paramiko.ServerInterface):
    """Takes one connection; `hangs_up` ends it in the middle of a log-in, as sshd does while /run/nologin is there."""

    def __init__(self, key: paramiko.PKey, *, hangs_up: bool) -> None:
        self._hangs_up = hangs_up
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._key = key
        self._transport: paramiko.Transport | None = None
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        connection, _ = self._listener.accept()
        self._transport = paramiko.Transport(connection)
        self._transport.add_server_key(self._key)
        with contextlib.suppress(EOFError):  # the client may hang up before it has its answer
            self._transport.start_server(server=self)

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        if self._hangs_up and self._transport is not None:
            self._transport.sock.close()
        return paramiko.common.AUTH_FAILED

    def get_allowed_auths(self, username: str) -> str:
        return "publickey"

    def close(self) -> None:
        self._listener.close()
        if self._transport is not None:
            self._transport.close()


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> tuple[paramiko.PKey, Path]:
    """A host key, and a person's key in a file."""
    folder = tmp_path_factory.mktemp("keys")
    for name in ("host", "person"):
        pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
        (folder / name).write_bytes(pem)
    return paramiko.Ed25519Key.from_private_key_file(str(folder / "host")), folder / "person"


def log_in(inventory: Inventory, server: Sshd, keys: tuple[paramiko.PKey, Path]) -> None:
    host: Host = replace(inventory.host("client"), address="127.0.0.1", port=server.port)
    key, identity = keys
    connect(host, Ssh("admin", str(identity), None), [f"{key.get_name()} {key.get_base64()}"])


def test_a_host_that_hangs_up_while_it_boots_is_waited_for(
    inventory: Inventory, keys: tuple[paramiko.PKey, Path]
) -> None:
    """pam_nologin turns everyone away until the boot is over: that is not a refusal of the key."""
    server = Sshd(keys[0], hangs_up=True)
    try:
        with pytest.raises(Unreachable, match=r"client: SSH at 127.0.0.1 port \d+ hangs up.*booting") as caught:
            log_in(inventory, server, keys)
        assert "\n" not in str(caught.value)
    finally:
        server.close()


def test_a_key_that_is_refused_is_not_waited_for(inventory: Inventory, keys: tuple[paramiko.PKey, Path]) -> None:
    server = Sshd(keys[0], hangs_up=False)
    try:
        with pytest.raises(WorkloadError, match=r"refuses .*person for user admin; give ssh.user") as caught:
            log_in(inventory, server, keys)
        assert not isinstance(caught.value, Unreachable)
    finally:
        server.close()


def test_an_idle_connection_rests_and_its_end_wakes_it_at_once(inventory: Inventory, tmp_path: Path) -> None:
    with ssh_host(inventory.host("client"), tmp_path) as connector:
        reader = connector._connection.transport
        threading.Event().wait(0.2)  # longer than paramiko's own timeout, with which its last read began
        connector.close()
        reader.join(POLL_SECONDS / 4)
        assert not reader.is_alive()
