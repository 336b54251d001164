"""Finds out which host answers at an address: opens SSH connections up to the exchange of the host's key.

The key exchange proves that the host has the key that it shows (RFC 4253, section 8), so it is recognised by its pinned
key; nobody logs in.
"""

from __future__ import annotations

import math
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import paramiko

from inventory import Ssh
from workloads.connectors.proxy_socket import ProxySocket
from workloads.errors import WorkloadError

SSH_PORT = 22
UNDER_WAY_SECONDS = 5.0
"""A connection that has waited for this long no longer counts as being under way."""
NEAR_MOVE_SECONDS = 0.5
UNDER_WAY_NEAR_MOVE_SECONDS = 1.0
"""A connection that began before the address moved, or within NEAR_MOVE_SECONDS after the call, may never be answered:
its host has lost the address. It counts as being under way for UNDER_WAY_NEAR_MOVE_SECONDS only.
"""
OTHER_KEY = "another host key than the pinned ones"


@dataclass(frozen=True)
class Probe:
    """One connection, by the clock of this machine. `connected_unix_s` is when TCP's handshake was done; None: it was
    not, or a proxy command does not report it. `ended_unix_s` is when SSH's key exchange was done, or the
    connection was given up. `host` is the host that answered; None: none did, and `fault` is the reason.
    """

    started_unix_s: float
    connected_unix_s: float | None
    ended_unix_s: float
    host: str | None
    fault: str | None


@dataclass(frozen=True)
class Endpoint:
    """The address that is probed, and the hosts by their keys: ("ssh-ed25519", "AAAA…") -> host."""

    address: str
    ssh: Ssh
    keys: Mapping[tuple[str, str], str]
    seconds: float  # after which a connection is given up


def make_endpoint(address: str, ssh: Ssh, host_keys: Mapping[str, Sequence[str]], seconds: float) -> Endpoint:
    """Returns the endpoint for hosts with these keys. Raises WorkloadError when two hosts have the same key: they
    could not be distinguished.
    """
    keys: dict[tuple[str, str], str] = {}
    for host, lines in host_keys.items():
        for line in lines:
            kind, _, text = line.partition(" ")
            other = keys.setdefault((kind, text), host)
            if other != host:
                raise WorkloadError(
                    f"it has the host key of {other}, and a host is recognised by its key",
                    "give one of them new keys (ssh-keygen -A, after removing /etc/ssh/ssh_host_*), and its host_keys",
                    host,
                )
    return Endpoint(address, ssh, keys, seconds)


def probe(at: Endpoint) -> Probe:
    """Opens one connection, and closes it after the key exchange."""
    started = time.time()
    connected: float | None = None
    host: str | None = None
    fault: str | None = None
    proxy: ProxySocket | None = None
    try:
        if at.ssh.proxy_command is None:
            link = socket.create_connection((at.address, SSH_PORT), at.seconds)
            connected = time.time()
        else:
            proxy = ProxySocket(at.ssh.proxy_command, at.address, SSH_PORT)
            link = proxy.socket
        with link:
            key = _shown_key(link, at.seconds)
        host = at.keys.get((key.get_name(), key.get_base64()))
        if host is None:
            fault = OTHER_KEY
    except (OSError, EOFError, ValueError, paramiko.SSHException) as error:
        fault = _words(error, at.seconds)
    finally:
        if proxy is not None:
            proxy.close()
            connected = proxy.connected_unix_s
    return Probe(started, connected, time.time(), host, fault)


def _shown_key(link: socket.socket, seconds: float) -> paramiko.PKey:
    """Returns the host's key, and disconnects. Raises what paramiko and the socket raise."""
    transport = paramiko.Transport(link)
    try:
        # Longer than start_client's: else this timeout may come first, with the error of a closed connection.
        transport.banner_timeout = 2 * seconds
        transport.start_client(timeout=seconds)
        if not transport.initial_kex_done:  # it returns like this after the timeout, too
            raise TimeoutError
        return transport.get_remote_server_key()
    finally:
        transport.close()


def _words(error: Exception, seconds: float) -> str:
    text = " ".join(str(error).split())
    if isinstance(error, TimeoutError) or "timeout" in text.lower() or "timed out" in text.lower():
        return f"no answer in {seconds:g} s"
    if isinstance(error, ConnectionRefusedError):
        return "refused"
    return text or type(error).__name__


class Prober:
    """Probes each `interval_seconds` for the duration of a `with` block, unless `at_once` probes are under way."""

    def __init__(self, at: Endpoint, interval_seconds: float, at_once: int) -> None:
        self._endpoint = at
        self._interval = interval_seconds
        self._ended = threading.Event()
        self._changed = threading.Condition()
        self._probes: list[Probe] = []
        self._at_once = at_once
        self._under_way: set[float] = set()  # when each began, by the monotonic clock
        self._moved: float | None = None
        most = at_once * math.ceil(at.seconds / UNDER_WAY_NEAR_MOVE_SECONDS)
        self._pool = ThreadPoolExecutor(max_workers=most, thread_name_prefix="probe")
        self._clock = threading.Thread(target=self._run, name="probes", daemon=True)

    def __enter__(self) -> Prober:
        self._clock.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Waits for the probes that are under way: their results belong to the record."""
        self._ended.set()
        self._clock.join()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def moved(self) -> None:
        """Notes that the address is about to move."""
        with self._changed:
            self._moved = time.monotonic()

    @property
    def probes(self) -> list[Probe]:
        """The probes that have ended so far, in the order of their beginnings."""
        with self._changed:
            return sorted(self._probes, key=lambda probe: probe.started_unix_s)

    def wait_for(self, enough: Callable[[list[Probe]], bool], limit_seconds: float) -> bool:
        """Waits until the probes so far are enough; returns whether they were within the limit."""
        with self._changed:
            return self._changed.wait_for(lambda: enough(list(self._probes)), limit_seconds)

    def wait_for_answers(self, host: str, limit_seconds: float, since_unix_s: float = 0, count: int = 1) -> bool:
        """Waits until the host has answered `count` probes that began since; returns whether it did in time."""
        return self.wait_for(lambda probes: len(answers_of(probes, host, since_unix_s)) >= count, limit_seconds)

    def _run(self) -> None:
        began = time.monotonic()
        number = 0
        while not self._ended.wait(max(0.0, began + number * self._interval - time.monotonic())):
            number += 1
            now = time.monotonic()
            with self._changed:
                if sum(self._holds_back(each, now) for each in self._under_way) >= self._at_once:
                    continue
                self._under_way.add(now)
            self._pool.submit(self._one, now)

    def _holds_back(self, began: float, now: float) -> bool:
        near_move = self._moved is not None and began < self._moved + NEAR_MOVE_SECONDS
        return now - began < (UNDER_WAY_NEAR_MOVE_SECONDS if near_move else UNDER_WAY_SECONDS)

    def _one(self, began: float) -> None:
        found: list[Probe] = []
        try:
            found.append(probe(self._endpoint))
        finally:
            with self._changed:
                self._under_way.discard(began)
                self._probes += found
                self._changed.notify_all()


def answers_of(probes: Sequence[Probe], host: str, since_unix_s: float = 0) -> list[Probe]:
    """Returns the probes that this host answered, of those that began since."""
    return [probe for probe in probes if probe.host == host and probe.started_unix_s >= since_unix_s]
