"""A host for tests of what goes over SSH: a server in this process that runs commands on this machine."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import paramiko
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from inventory import Host, Ssh
from workloads.connectors.ssh import SshConnector, connect


class _Server(paramiko.ServerInterface):
    """Lets anyone in, and gives each command a process of the account's `shell`."""

    def __init__(self, shell: Sequence[str], sessions_max: int, home: Path) -> None:
        self._shell = shell
        self._sessions_left = sessions_max
        self._home = home
        self.processes: list[subprocess.Popen[bytes]] = []

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        return paramiko.common.AUTH_SUCCESSFUL

    def get_allowed_auths(self, username: str) -> str:
        return "publickey"

    def check_channel_request(self, kind: str, chanid: int) -> int:
        self._sessions_left -= 1
        return (
            paramiko.common.OPEN_SUCCEEDED if self._sessions_left >= 0 else paramiko.common.OPEN_FAILED_CONNECT_FAILED
        )

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        process = subprocess.Popen(
            [*self._shell, command.decode()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            env={"PATH": os.environ["PATH"], "HOME": str(self._home), "SSH_CLIENT": "192.0.2.1 50000 22"},
        )
        self.processes.append(process)
        threading.Thread(target=_feed, args=(channel, process), daemon=True).start()
        threading.Thread(target=_answer, args=(channel, process), daemon=True).start()
        return True


def _feed(channel: paramiko.Channel, process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None
    # The process may have ended, or the connection, on which reading sends as well.
    with process.stdin, contextlib.suppress(OSError, EOFError, paramiko.SSHException):
        while content := channel.recv(65536):
            process.stdin.write(content)


def _answer(channel: paramiko.Channel, process: subprocess.Popen[bytes]) -> None:
    assert process.stdout is not None
    assert process.stderr is not None
    # Whoever asked may have gone.
    with process.stdout, process.stderr, contextlib.suppress(OSError, EOFError, paramiko.SSHException):
        while content := process.stdout.read(65536):
            channel.sendall(content)
        channel.sendall_stderr(process.stderr.read())
        code = process.wait()
        channel.send_exit_status(code if code >= 0 else 128 - code)
        channel.close()


@contextlib.contextmanager
def ssh_host(
    host: Host, folder: Path, shell: Sequence[str] = ("bash", "-c"), *, sessions_max: int = 1000
) -> Iterator[SshConnector]:
    """A connection to `host`, as which this machine answers; `folder` is the account's home, and gets keys.

    In all it gives out `sessions_max` sessions.
    """
    for name in ("host", "person"):
        pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
        (folder / name).write_bytes(pem)
    key = paramiko.Ed25519Key.from_private_key_file(str(folder / "host"))
    server = _Server(shell, sessions_max, folder)
    transports: list[paramiko.Transport] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            transport = paramiko.Transport(connection)
            transports.append(transport)
            transport.add_server_key(key)
            transport.start_server(server=server)

        threading.Thread(target=serve, daemon=True).start()
        here = replace(host, address="127.0.0.1", port=listener.getsockname()[1])
        connector = connect(here, Ssh("root", str(folder / "person"), None), [f"{key.get_name()} {key.get_base64()}"])
        try:
            yield connector
        finally:
            connector.close()
            for transport in transports:
                transport.close()
            for process in server.processes:
                process.kill()
                process.wait()
