"""Runs scripts on a host over SSH; the one place where connections are made.

Fabric opens the connections, with other defaults: host keys are pinned (Fabric accepts any), every wait has a timeout
(Fabric has none), and the user's own SSH configuration and agent are left out unless the inventory names no key.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import paramiko
from fabric import Config, Connection  # type: ignore[import-untyped]
from paramiko.config import SSHConfig

from inventory import Host, Ssh
from workloads.connectors.base import Connector, ScriptProcess
from workloads.connectors.proxy_socket import ProxySocket
from workloads.errors import WorkloadError, last_line
from workloads.paths import user_path

CONNECT_TIMEOUT_SECONDS = 15
# A host that has just booted answers TCP before sshd is ready to speak, and a rehearsal host shares its CPU with
# others.
BANNER_TIMEOUT_SECONDS = 30
AUTHENTICATION_TIMEOUT_SECONDS = 30
# How long a command is silent before its host is checked, and how often from then on.
CHECK_SECONDS = 2.0
# How often paramiko's thread of a connection wakes up while nothing comes, to see whether it was closed. With its own
# 0.1 s, 200 connections take 4 % of a processor for as long as they are open.
POLL_SECONDS = 2.0

# paramiko logs errors with a traceback; the task gets the same as an exception.
logging.getLogger("paramiko").setLevel(logging.CRITICAL)


class Unreachable(WorkloadError):
    """SSH does not answer now: the host may be booting, gone, or behind a closed port."""


class SshConnector(Connector):
    """An open connection to one host."""

    _silence_remedy = "see whether the host is up, and run the task again"

    def __init__(
        self,
        host: Host,
        user: str,
        connection: Connection,
        proxy: ProxySocket | None,
        check: Callable[[], None],
    ) -> None:
        self.host = host
        self.name = host.name
        self.user = user
        self._connection = connection
        self._proxy = proxy
        self._check = check

    @property
    def is_open(self) -> bool:
        """Whether the transport is up. A host that died silently looks open until the next request."""
        return bool(self._connection.is_connected)

    def close(self) -> None:
        """Closes the connection; threads that wait on it get an error."""
        with contextlib.suppress(Exception):
            # Wakes the thread that reads: else the socket stays open for as long as that waits.
            self._connection.transport.sock.shutdown(socket.SHUT_RDWR)
        with contextlib.suppress(Exception):
            self._connection.close()
        if self._proxy is not None:
            self._proxy.close()

    @contextlib.contextmanager
    def _process(self, name: str, command: str, idle_timeout_seconds: float) -> Iterator[SshProcess]:
        channel = self._open_channel(name)
        try:
            yield SshProcess(channel, command, idle_timeout_seconds, self._check)
        except (OSError, EOFError, paramiko.SSHException) as error:
            self._check()  # raises the cause, if it is known
            raise WorkloadError(f"the connection broke ({error})", "run the task again", self.name) from error
        finally:
            channel.close()

    def _open_channel(self, name: str) -> paramiko.Channel:
        try:
            transport = self._connection.transport
            if transport is None:
                raise EOFError("closed")
            channel: paramiko.Channel = transport.open_session(timeout=CONNECT_TIMEOUT_SECONDS)
        except paramiko.ChannelException as error:
            raise WorkloadError(
                f"sshd refuses a further session on a connection ({error.text}), {name!r} was not run",
                "set MaxSessions in that host's sshd_config to 10, its default",
                self.name,
            ) from error
        except (OSError, EOFError, paramiko.SSHException) as error:
            self._check()
            raise WorkloadError(
                f"the connection is gone, {name!r} was not run", "run the task again", self.name
            ) from error
        return channel


class SshProcess(ScriptProcess):
    """A command that runs in `channel`; raises paramiko's errors and OSError."""

    def __init__(
        self,
        channel: paramiko.Channel,
        command: str,
        idle_timeout_seconds: float,
        check: Callable[[], None],
    ) -> None:
        super().__init__(idle_timeout_seconds)
        self.channel = channel
        self._check = check
        # Set while there is something to read, or the end of it: makes a read that can be waited for in parts.
        self._readable = threading.Event()
        channel.in_buffer.set_event(self._readable)
        channel.settimeout(idle_timeout_seconds)
        channel.exec_command(command)
        self._stderr_reader.start()
        self.lines = self._lines()

    def send(self, content: bytes) -> bool:
        try:
            self.channel.sendall(content)
        except TimeoutError:
            raise
        except OSError:
            return False
        return True

    def close_stdin(self) -> None:
        self.channel.shutdown_write()

    def _wait_for_exit(self, timeout_seconds: float) -> int:
        self._stderr_reader.join(timeout=min(timeout_seconds, CHECK_SECONDS))
        self._wait(self.channel.status_event.wait, timeout_seconds)
        code: int = self.channel.recv_exit_status()
        if code == -1:
            raise EOFError("it ended without an exit code")
        return code

    def _wait(self, until: Callable[[float], bool], timeout_seconds: float) -> None:
        """Waits until it is so; whether the host is still there is looked at meanwhile. Raises TimeoutError."""
        deadline = time.monotonic() + timeout_seconds
        while not until(max(0.0, min(CHECK_SECONDS, deadline - time.monotonic()))):
            if time.monotonic() >= deadline:
                raise TimeoutError
            self._check()

    def _read_stderr(self) -> None:
        with contextlib.suppress(OSError):
            while chunk := self.channel.recv_stderr(65536):
                self._stderr.append(chunk)

    def _receive(self) -> bytes:
        self._wait(self._readable.wait, self.idle_timeout_seconds)
        return self.channel.recv(65536)

    def _lines(self) -> Iterator[str]:
        pending = b""
        while chunk := self._receive():
            *whole, pending = (pending + chunk).split(b"\n")
            for line in whole:
                yield line.decode(errors="replace")
        if pending:
            yield pending.decode(errors="replace")


def connect(host: Host, ssh: Ssh, host_keys: Sequence[str], check: Callable[[], None] = lambda: None) -> SshConnector:
    """Connects to `host`, which must show one of `host_keys` ("ssh-ed25519 AAAA…").

    `check` raises when the host has ended; it is called while something that runs there is silent.
    """
    if not host_keys:
        raise WorkloadError("no host key is known", "give host_keys in the inventory", host.name)
    arguments: dict[str, Any] = {
        "banner_timeout": BANNER_TIMEOUT_SECONDS,
        "auth_timeout": AUTHENTICATION_TIMEOUT_SECONDS,
        "channel_timeout": CONNECT_TIMEOUT_SECONDS,
        **_credentials(host, ssh),
    }
    proxy: ProxySocket | None = None
    if ssh.proxy_command is not None:
        try:
            proxy = ProxySocket(ssh.proxy_command, host.address, host.port)
        except (OSError, ValueError) as error:
            raise WorkloadError(
                f"ssh.proxy_command does not start ({error})", "correct it in the inventory", host.name
            ) from error
        arguments["sock"] = proxy.socket
    connection = Connection(
        host=host.address,
        user=ssh.user,
        port=host.port,
        config=Config(overrides={"load_ssh_configs": False}, ssh_config=SSHConfig(), lazy=True),
        gateway=False,
        connect_timeout=CONNECT_TIMEOUT_SECONDS,
        connect_kwargs=arguments,
    )
    try:
        pin(connection.client, host, host_keys)
        connection.open()
        connection.transport.sock.settimeout(POLL_SECONDS)
    except BaseException as error:
        # Looked at before it is closed from here.
        transport = connection.client.get_transport()
        hung_up = transport is not None and not transport.is_active()
        stderr = proxy.close() if proxy is not None else ""
        with contextlib.suppress(Exception):
            connection.close()
        if isinstance(error, (OSError, EOFError, ValueError, paramiko.SSHException)):
            raise connect_error(host, ssh, error, stderr, hung_up=hung_up) from error
        raise
    return SshConnector(host, ssh.user, connection, proxy, check)


def _credentials(host: Host, ssh: Ssh) -> dict[str, Any]:
    if ssh.identity_file is None:
        return {"allow_agent": True, "look_for_keys": True}
    identity = user_path(ssh.identity_file)
    if not identity.is_file():
        raise WorkloadError(
            f"ssh.identity_file {ssh.identity_file} is not there", "give the file of your private key", host.name
        )
    return {"allow_agent": False, "look_for_keys": False, "key_filename": str(identity)}


def pin(client: paramiko.SSHClient, host: Host, host_keys: Sequence[str]) -> None:
    """Makes `client` accept `host_keys` from `host` and no others."""
    client.set_missing_host_key_policy(paramiko.RejectPolicy())
    known = client.get_host_keys()
    known.clear()
    # paramiko looks a host up under this name when the port is not the usual one.
    name = host.address if host.port == 22 else f"[{host.address}]:{host.port}"
    for text in host_keys:
        unreadable = WorkloadError(
            f"host key {text[:40]!r} cannot be read", 'give it whole, as "ssh-ed25519 AAAA…"', host.name
        )
        try:
            entry = paramiko.hostkeys.HostKeyEntry.from_line(f"{name} {text}")
        except Exception as error:  # paramiko's and cryptography's have no other class in common
            raise unreadable from error
        if entry is None or entry.key is None:
            raise unreadable
        known.add(name, entry.key.get_name(), entry.key)


def connect_error(host: Host, ssh: Ssh, error: Exception, proxy_stderr: str, *, hung_up: bool) -> WorkloadError:
    """Translates an error of paramiko or of the operating system; `hung_up` where the host ended the connection."""
    at = f"{host.address} port {host.port}"
    if isinstance(error, paramiko.BadHostKeyException) or "not found in known_hosts" in str(error):
        return WorkloadError(
            f"the host at {at} shows another host key than the pinned one",
            "find out why before you go on; if the host was replaced, give its new key in host_keys "
            "or remove its line from .tidemark/host-keys.json",
            host.name,
        )
    if isinstance(error, paramiko.AuthenticationException) and hung_up:
        # sshd accepts the key and then hangs up while PAM rejects everyone: while a host boots, /run/nologin exists
        # (pam_nologin(8), systemd-user-sessions.service(8)). paramiko reports a failed authentication.
        return Unreachable(
            f"SSH at {at} hangs up in the middle of the log-in, as a host does that is still booting",
            f"if it goes on, see why that host lets nobody in as {ssh.user} (journalctl -u ssh)",
            host.name,
        )
    if isinstance(error, paramiko.AuthenticationException):
        key = ssh.identity_file or "your SSH agent's keys"
        return WorkloadError(
            f"{at} refuses {key} for user {ssh.user}",
            "give ssh.user and ssh.identity_file as deployed",
            host.name,
        )
    if isinstance(error, paramiko.PasswordRequiredException):
        return WorkloadError(
            f"{ssh.identity_file} is encrypted",
            "load it into an agent and set ssh.identity_file to null",
            host.name,
        )
    reason = last_line(proxy_stderr) or str(error) or type(error).__name__
    remedy = "see whether the host is up"
    if ssh.proxy_command is None:  # with one, as in a rehearsal, the person's address does not matter
        remedy += " and whether its security group lets your address in (tidemark:sshCidr)"
    return Unreachable(f"SSH at {at} does not answer ({reason})", remedy, host.name)
