"""The one place where connections to hosts are made, and scripts are sent over them.

Fabric opens the connections; its defaults are turned round here: host keys are pinned (Fabric accepts any),
nothing waits for ever (Fabric has no timeouts), and the user's own SSH configuration and agent are left out
unless the inventory names no key of its own. Scripts go over standard input, whole, so that neither an
argument list nor a file on the host holds them, and a link that breaks half-way runs nothing.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import shlex
import socket
import subprocess
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed, wait
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, NoReturn, Protocol, TypeVar

import paramiko
from fabric import Config, Connection  # type: ignore[import-untyped]
from paramiko.config import SSHConfig

from inventory import Host, Inventory, Ssh
from workloads.errors import WorkloadError
from workloads.user_path import user_path

PROJECT = Path(__file__).resolve().parent.parent
CONNECT_TIMEOUT_S = 15
# A host that has just booted answers TCP before sshd is ready to speak, and a rehearsal host shares its CPU
# with others.
BANNER_TIMEOUT_S = 30
AUTHENTICATION_TIMEOUT_S = 30
SCRIPT_TIMEOUT_S = 300
# A host that was created a moment ago has shown its host keys before sshd listens; one that restarts for its
# memory limit is away for a minute.
BOOT_SECONDS = 120
BOOT_POLL_SECONDS = 1.0
# How long a command is silent before its host is looked at, and how often from then on.
CHECK_SECONDS = 2.0
# A script whose connection broke runs on; the next one waits for it rather than working beside it.
LOCK_PATH = "/run/tidemark.lock"
LOCK_TIMEOUT_S = 90
LOCK_TIMEOUT_EXIT = 75
# Names a descriptor. A proxy command that knows it writes the Unix time there at which it had connected.
CONNECTED_VARIABLE = "TIDEMARK_CONNECTED_FD"
END_OF_SCRIPT = "# end of script"
CUT_SCRIPT_EXIT = 70
ERROR_PREFIX = "tidemark-error: "

T = TypeVar("T")

# What paramiko logs as an error, with a traceback, comes to the task as an exception as well.
logging.getLogger("paramiko").setLevel(logging.CRITICAL)


class Unreachable(WorkloadError):
    """Nothing speaks SSH there, now: the host may be booting, gone, or behind a closed port."""


@dataclass(frozen=True)
class Script:
    """A script and where it came from; `text` ends with END_OF_SCRIPT, which proves that it arrived whole."""

    name: str
    text: str

    @classmethod
    def load(cls, path: Path, *libraries: Path) -> Script:
        """The script at `path`, with `libraries` (functions that several scripts share) before it."""
        text = "".join(each.read_text(encoding="utf-8") for each in (*libraries, path))
        if not text.rstrip().endswith(END_OF_SCRIPT):
            raise ValueError(f"{path} does not end with {END_OF_SCRIPT!r}")
        return cls(path.stem, text)


@dataclass(frozen=True)
class ScriptResult:
    """What a script said: `facts` are its JSON lines, the last of which holds `changed`."""

    host: str
    stdout: str
    stderr: str
    facts: tuple[dict[str, Any], ...] = field(default=())

    @property
    def changed(self) -> int:
        """How many things the script changed on the host."""
        return int(self.facts[-1].get("changed", 0)) if self.facts else 0


def facts_in(stdout: str, host: str | None = None) -> tuple[dict[str, Any], ...]:
    """The JSON objects among the lines of `stdout`; other lines are for people.

    Between a line "@@ NAME" and "@@ end" stands what a tool or a file says (workloads/logs.py): no facts. Raises
    WorkloadError for a line that begins as an object with a field and is no JSON: what it says is not to be missed.
    """
    facts = []
    in_section = False
    for line in stdout.split("\n"):
        if line.startswith("@@ "):
            in_section = line != "@@ end"
        elif line.startswith('{"') and not in_section:
            facts.append(fact_in(line, host))
    return tuple(facts)


def _no_number(word: str) -> NoReturn:
    raise ValueError(f"{word} is no JSON")


def fact_in(line: str, host: str | None = None) -> dict[str, Any]:
    """The JSON object that a line is. Raises WorkloadError for a line that is none."""
    try:
        fact = json.loads(line, parse_constant=_no_number)
    except (ValueError, RecursionError):
        fact = None
    if not isinstance(fact, dict):
        raise WorkloadError(
            f"a script's answer is no JSON: {line if len(line) <= 200 else line[:197] + '...'}",
            "see what that line shows on the host, and run the task again",
            host,
        )
    return fact


@dataclass(frozen=True)
class Exchange:
    """A line that was sent to a script, and its answer; times are of the clock here."""

    answer: str
    sent_unix_s: float
    received_unix_s: float


# The whole of standard input is the script; or, where a script is spoken with, what comes up to its last line. Of a
# pipe, bash's `read` takes nothing beyond the line.
READ_ALL = "script=$(cat)"
READ_SCRIPT = f"""script=
while IFS= read -r line; do
    script+=$line
    [ "$line" != "{END_OF_SCRIPT}" ] || break
    script+="
"
done"""


def script_command(
    name: str, arguments: Sequence[str], user: str, *, locked: bool = True, spoken_with: bool = False
) -> str:
    """The command line that reads a script from standard input, checks that it is whole, and runs it as
    root.

    `spoken_with` leaves what comes after the script to the script.
    """
    reader = (
        f'{READ_SCRIPT if spoken_with else READ_ALL}; case $script in *"{END_OF_SCRIPT}") ;; '
        f'*) echo "{ERROR_PREFIX}the script arrived incomplete|run the task again" >&2; '
        f'exit {CUT_SCRIPT_EXIT};; esac; eval "$script"'
    )
    words = [] if user == "root" else ["sudo", "-n"]
    if locked:
        # --close: what the script starts must not inherit the lock and hold it after the script's end.
        words += ["flock", "--close", "--timeout", str(LOCK_TIMEOUT_S)]
        words += ["--conflict-exit-code", str(LOCK_TIMEOUT_EXIT), LOCK_PATH]
    words += ["bash", "-c", reader, name, *arguments]
    return shlex.join(words)


def proxy_arguments(proxy_command: str, host: str, port: int) -> list[str]:
    """The words of `proxy_command` with %h and %p (and %% for a per cent sign) filled in, as in
    ssh_config(5).
    """
    filled = []
    for word in shlex.split(proxy_command):
        parts = word.split("%%")
        filled.append("%".join(part.replace("%h", host).replace("%p", str(port)) for part in parts))
    return filled


class ProxySocket:
    """A proxy command and the socket that leads through it.

    paramiko's own ProxyCommand reads pipes in a loop that spins for ever once the command has ended; a
    socket pair is a real socket, so the end of the command is the end of the stream.
    """

    def __init__(self, proxy_command: str, host: str, port: int) -> None:
        words = proxy_arguments(proxy_command, host, port)
        self._guard = threading.Lock()
        self._words: str | None = None
        self._connected_unix_s: float | None = None
        self.socket, theirs = socket.socketpair()
        self._told, telling = os.pipe()
        try:
            # A session of its own: Ctrl-C is for the task, which closes its connections in order.
            self.process: subprocess.Popen[bytes] = subprocess.Popen(
                words,
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                stderr=subprocess.PIPE,
                cwd=PROJECT,  # a rehearsal's command names one of the project's modules
                start_new_session=True,
                pass_fds=[telling],
                env={**os.environ, CONNECTED_VARIABLE: str(telling)},
            )
        except OSError:
            self.socket.close()
            os.close(self._told)
            raise
        finally:
            theirs.close()
            os.close(telling)
        os.set_blocking(self._told, False)

    @property
    def connected_unix_s(self) -> float | None:
        """When the far side was connected, as the command told; None: not yet, or it does not tell."""
        with self._guard:
            if self._words is None:
                self._hear()
            return self._connected_unix_s

    def _hear(self) -> None:
        with contextlib.suppress(BlockingIOError, ValueError):
            if told := os.read(self._told, 64):
                self._connected_unix_s = float(told)

    def close(self) -> str:
        """Ends the command; what it wrote to standard error is returned.

        Whoever comes second, be it from another thread, gets the same words: a pipe can be read out once.
        """
        with self._guard:
            if self._words is None:
                self._words = self._end()
            return self._words

    def _end(self) -> str:
        self.socket.close()
        self._hear()
        os.close(self._told)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout=0.5)
        if self.process.poll() is None:
            self.process.terminate()
        try:
            _, words = self.process.communicate(timeout=2)
        except subprocess.TimeoutExpired:
            self.process.kill()
            _, words = self.process.communicate()
        return words.decode(errors="replace").strip()


class Talk(Protocol):
    """A script that runs and is spoken with."""

    @property
    def lines(self) -> Iterator[str]:
        """The lines of its standard output, as they come."""

    def send(self, content: bytes) -> bool:
        """Writes to its standard input; False when it has ended."""

    def done_writing(self) -> None:
        """Nothing more comes on its standard input."""

    def end(self, limit_s: float | None = None) -> tuple[int, str]:
        """Waits for the end; exit code and standard error. `limit_s` is in the place of the longest silence."""


class Machine(ABC):
    """What runs scripts as root: a host over its connection, or the machine that the tasks run on. A failure is one
    line.
    """

    user: str

    @property
    @abstractmethod
    def name(self) -> str:
        """How messages call it."""

    @abstractmethod
    def conversation(
        self, script: Script, arguments: Iterable[str] = (), *, silence_s: float = SCRIPT_TIMEOUT_S
    ) -> contextlib.AbstractContextManager[Talk]:
        """Sends `script`, whose standard input stays open for what is said to it while the block lasts."""

    @abstractmethod
    def _said(
        self, script: str, command: str, on_line: Callable[[str], None], *, stdin: bytes, silence_s: float
    ) -> tuple[int, str]:
        """Runs the command of the script called `script`, hands over each line; exit code and standard error."""

    def run(
        self,
        script: Script,
        arguments: Iterable[str] = (),
        *,
        locked: bool = True,
        timeout_s: float = SCRIPT_TIMEOUT_S,
        on_line: Callable[[str], None] | None = None,
        stdin: bytes | None = None,
    ) -> ScriptResult:
        """Sends `script`, waits for its end, and returns its facts; `locked`, when no other that is so runs there.

        `timeout_s` is the longest time without output, `on_line` is given each line. `stdin` is what the script itself
        finds on its standard input: the place for a secret.
        """
        lines: list[str] = []

        def take(line: str) -> None:
            lines.append(line)
            if on_line is not None:
                on_line(line)

        command = script_command(script.name, list(arguments), self.user, locked=locked, spoken_with=stdin is not None)
        sent = script.text.encode() if stdin is None else f"{script.text.rstrip()}\n".encode() + stdin
        code, stderr = self._said(script.name, command, take, stdin=sent, silence_s=timeout_s)
        if code:
            raise script_error(self.name, script.name, code, stderr)
        stdout = "\n".join(lines)
        return ScriptResult(self.name, stdout, stderr, facts_in(stdout, self.name))


class Remote(Machine):
    """An open connection to one host, over which scripts and commands run."""

    def __init__(
        self,
        host: Host,
        user: str,
        connection: Connection,
        proxy: ProxySocket | None,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        self.host = host
        self.user = user
        self._connection = connection
        self._proxy = proxy
        self._check = check

    @property
    def name(self) -> str:
        """The host's name in the inventory."""
        return self.host.name

    @property
    def is_open(self) -> bool:
        """Whether the transport is still there; a host that died silently looks open until something is
        asked of it.
        """
        return bool(self._connection.is_connected)

    def close(self) -> None:
        """Ends the connection and whatever waits on it."""
        with contextlib.suppress(Exception):
            self._connection.close()
        if self._proxy is not None:
            self._proxy.close()

    def stream(
        self,
        command: str,
        on_line: Callable[[str], None],
        *,
        stdin: bytes = b"",
        silence_s: float = SCRIPT_TIMEOUT_S,
    ) -> tuple[int, str]:
        """Runs `command`, hands over each line of its standard output as it comes; exit code and standard
        error.

        `silence_s` is the longest time without a byte of output.
        """
        with self._executing(command, silence_s) as execution:
            if stdin:
                execution.channel.sendall(stdin)
            execution.done_writing()
            for line in execution.lines:
                on_line(line)
            return execution.end()

    def converse(
        self,
        script: Script,
        lines: Sequence[str],
        arguments: Iterable[str] = (),
        *,
        silence_s: float = SCRIPT_TIMEOUT_S,
    ) -> list[Exchange]:
        """Sends `script`, which must answer each line of its standard input with one line, and then each of `lines`
        when the one before has been answered; a failure is one line.
        """
        exchanges: list[Exchange] = []
        with self.conversation(script, arguments, silence_s=silence_s) as execution:
            for line in lines:
                sent_unix_s = time.time()
                if not execution.send(f"{line}\n".encode()):
                    break
                answer = next(execution.lines, None)
                if answer is None:
                    break
                exchanges.append(Exchange(answer, sent_unix_s, time.time()))
            execution.done_writing()
            code, stderr = execution.end()
        if code:
            raise script_error(self.name, script.name, code, stderr)
        if len(exchanges) < len(lines):
            raise WorkloadError(
                f"{script.name} answered {len(exchanges)} of {len(lines)} times", "run the task again", self.name
            )
        return exchanges

    @contextlib.contextmanager
    def conversation(
        self, script: Script, arguments: Iterable[str] = (), *, silence_s: float = SCRIPT_TIMEOUT_S
    ) -> Iterator[Execution]:
        """Sends `script`, whose standard input stays open for what is said to it while the block lasts."""
        command = script_command(script.name, list(arguments), self.user, locked=False, spoken_with=True)
        with self._executing(command, silence_s) as execution:
            execution.send(f"{script.text.rstrip()}\n".encode())
            yield execution

    def _said(
        self, script: str, command: str, on_line: Callable[[str], None], *, stdin: bytes, silence_s: float
    ) -> tuple[int, str]:
        return self.stream(command, on_line, stdin=stdin, silence_s=silence_s)

    @contextlib.contextmanager
    def _executing(self, command: str, silence_s: float) -> Iterator[Execution]:
        """Starts `command`; what goes wrong with the connection while it runs is one line."""
        channel = self._open_channel(command)
        running: Execution | None = None
        try:
            running = Execution(channel, command, silence_s, self._check)
            yield running
        except TimeoutError as error:
            raise WorkloadError(
                f"silent for {silence_s if running is None else running.silence_s:g} s",
                "see whether it is up (`fab lab.status`, or the EC2 console) and run the task again",
                self.name,
            ) from error
        except (OSError, EOFError, paramiko.SSHException) as error:
            self._check()  # why it broke is worth more than that it did
            raise WorkloadError(f"the connection broke ({error})", "run the task again", self.name) from error
        finally:
            channel.close()

    def _open_channel(self, command: str) -> paramiko.Channel:
        try:
            transport = self._connection.transport
            if transport is None:
                raise EOFError("closed")
            channel: paramiko.Channel = transport.open_session(timeout=CONNECT_TIMEOUT_S)
        except (OSError, EOFError, paramiko.SSHException) as error:
            self._check()
            word = command.split()[0]
            raise WorkloadError(
                f"the connection is gone, {word!r} was not run", "run the task again", self.name
            ) from error
        return channel


class Execution:
    """A command that runs in `channel`, its standard error gathered beside; faults are paramiko's and OSError's.

    `silence_s` is how long a line of it is waited for; it may be changed between two.
    """

    def __init__(
        self, channel: paramiko.Channel, command: str, silence_s: float, check: Callable[[], None] = lambda: None
    ) -> None:
        self.channel = channel
        self.silence_s = silence_s
        self._check = check
        self._stderr: list[bytes] = []
        self._reader = threading.Thread(target=_drain, args=(channel.recv_stderr, self._stderr), daemon=True)
        # Set while there is something to read, or the end of it: a read that can be waited for in parts.
        self._readable = threading.Event()
        channel.in_buffer.set_event(self._readable)
        channel.settimeout(silence_s)
        channel.exec_command(command)
        self._reader.start()
        self.lines = _lines(self._receive)

    def send(self, content: bytes) -> bool:
        """Writes to its standard input; False when it has ended, for which its exit code and words say why."""
        try:
            self.channel.sendall(content)
        except TimeoutError:
            raise
        except OSError:
            return False
        return True

    def done_writing(self) -> None:
        """Nothing more comes on its standard input."""
        self.channel.shutdown_write()

    def end(self, limit_s: float | None = None) -> tuple[int, str]:
        """Waits for the end; exit code and standard error. `limit_s` is in the place of the longest silence."""
        limit_s = self.silence_s if limit_s is None else limit_s
        self._reader.join(timeout=min(limit_s, CHECK_SECONDS))
        self._wait(self.channel.status_event.wait, limit_s)
        code = self.channel.recv_exit_status()
        if code == -1:
            raise EOFError("it ended without an exit code")
        self._reader.join(timeout=limit_s)
        return code, b"".join(self._stderr).decode(errors="replace")

    def _receive(self) -> bytes:
        self._wait(self._readable.wait, self.silence_s)
        return self.channel.recv(65536)

    def _wait(self, until: Callable[[float], bool], limit_s: float) -> None:
        """Waits until it is so; whether the host is still there is looked at meanwhile. Raises TimeoutError."""
        deadline = time.monotonic() + limit_s
        while not until(max(0.0, min(CHECK_SECONDS, deadline - time.monotonic()))):
            if time.monotonic() >= deadline:
                raise TimeoutError
            self._check()


def script_error(host: str, script: str, code: int, stderr: str) -> WorkloadError:
    """The error of a script that ended with `code`: its own words when it named the fault, else its last
    ones.
    """
    lines = [line for line in stderr.splitlines() if line.strip()]
    for line in reversed(lines):
        if line.startswith(ERROR_PREFIX):
            what, _, remedy = line.removeprefix(ERROR_PREFIX).partition("|")
            return WorkloadError(what, remedy, host)
    if code == LOCK_TIMEOUT_EXIT:
        return WorkloadError(
            f"another task has been at work on it for {LOCK_TIMEOUT_S} s",
            "wait for that to end and run again",
            host,
        )
    last = lines[-1] if lines else "no message"
    if "password is required" in last:
        return WorkloadError("sudo asks for a password", "allow the user sudo without one, or log in as root", host)
    return WorkloadError(
        f"{script} failed with exit code {code} ({last})", "the cause is in that message; run again", host
    )


def connect(host: Host, ssh: Ssh, host_keys: Sequence[str], check: Callable[[], None] = lambda: None) -> Remote:
    """An open connection to `host`, which must show one of `host_keys` ("ssh-ed25519 AAAA…").

    `check` raises when the host has ended; it is called while something that runs there is silent.
    """
    if not host_keys:
        raise WorkloadError("no host key is known", "give host_keys in the inventory", host.name)
    config = Config(overrides={"load_ssh_configs": False}, ssh_config=SSHConfig(), lazy=True)
    arguments: dict[str, Any] = {
        "banner_timeout": BANNER_TIMEOUT_S,
        "auth_timeout": AUTHENTICATION_TIMEOUT_S,
        "channel_timeout": CONNECT_TIMEOUT_S,
    }
    if ssh.identity_file is None:
        arguments |= {"allow_agent": True, "look_for_keys": True}
    else:
        identity = user_path(ssh.identity_file)
        if not identity.is_file():
            raise WorkloadError(
                f"ssh.identity_file {ssh.identity_file} is not there",
                "give the file of your private key",
                host.name,
            )
        arguments |= {"allow_agent": False, "look_for_keys": False, "key_filename": str(identity)}
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
        config=config,
        gateway=False,
        connect_timeout=CONNECT_TIMEOUT_S,
        connect_kwargs=arguments,
    )
    try:
        pin(connection.client, host, host_keys)
        connection.open()
    except BaseException as error:
        # Looked at before it is closed from here.
        transport = connection.client.get_transport()
        hung_up = transport is not None and not transport.is_active()
        words = proxy.close() if proxy is not None else ""
        with contextlib.suppress(Exception):
            connection.close()
        if isinstance(error, (OSError, EOFError, ValueError, paramiko.SSHException)):
            raise connect_error(host, ssh, error, words, hung_up=hung_up) from error
        raise
    return Remote(host, ssh.user, connection, proxy, check)


def pin(client: paramiko.SSHClient, host: Host, host_keys: Sequence[str]) -> None:
    """Lets `client` accept `host_keys` from `host` and no others."""
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


def connect_error(host: Host, ssh: Ssh, error: Exception, proxy_words: str, *, hung_up: bool) -> WorkloadError:
    """What a failed attempt to connect means, and what to do about it; `hung_up` says that the host ended it."""
    at = f"{host.address} port {host.port}"
    if isinstance(error, paramiko.BadHostKeyException) or "not found in known_hosts" in str(error):
        return WorkloadError(
            f"the host at {at} shows another host key than the pinned one",
            "find out why before you go on; if the host was replaced, give its new key in host_keys "
            "or remove its line from .tidemark/host-keys.json",
            host.name,
        )
    if isinstance(error, paramiko.AuthenticationException) and hung_up:
        # sshd takes the key and then hangs up as long as PAM turns everyone away: while a host boots, /run/nologin
        # is there (pam_nologin(8), systemd-user-sessions.service(8)). paramiko calls that a failed authentication.
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
    reason = proxy_words.splitlines()[-1] if proxy_words else str(error) or type(error).__name__
    return Unreachable(
        f"SSH at {at} does not answer ({reason})",
        "see whether the host is up and whether its security group lets your address in (tidemark:sshCidr)",
        host.name,
    )


class Hosts:
    """The connections of one task: made when first needed, in parallel, and closed together."""

    def __init__(
        self,
        inventory: Inventory,
        host_keys: Mapping[str, Sequence[str]],
        check: Callable[[str], None] = lambda _: None,
    ) -> None:
        """`check` raises, given a host's name, when waiting for it is of no use (workloads/resource_watch.py)."""
        self.inventory = inventory
        self._host_keys = dict(host_keys)
        self._check = check
        self._remotes: dict[str, Remote] = {}
        self._guard = threading.Lock()

    def __enter__(self) -> Hosts:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends every connection; threads that wait on one get an error."""
        with self._guard:
            remotes, self._remotes = list(self._remotes.values()), {}
        for remote in remotes:
            remote.close()

    def check(self, name: str) -> None:
        """Raises WorkloadError when a host is gone for good or until somebody starts it, where that can be known."""
        self._check(name)

    def keys_of(self, name: str) -> Sequence[str]:
        """The pinned keys of a host."""
        return self._host_keys[name]

    def drop(self, name: str) -> None:
        """Forgets the connection to a host that has gone."""
        with self._guard:
            remote = self._remotes.pop(name, None)
        if remote is not None:
            remote.close()

    def moved(self, host: Host) -> None:
        """Takes note of a host's new address."""
        self.drop(host.name)
        hosts = tuple(host if each.name == host.name else each for each in self.inventory.hosts)
        self.inventory = replace(self.inventory, hosts=hosts)

    def remote(self, name: str) -> Remote:
        """The open connection to the host called `name`."""
        with self._guard:
            remote = self._remotes.get(name)
        if remote is not None and remote.is_open:
            return remote
        host = self.inventory.host(name)
        fresh = connect(host, self.inventory.ssh, self._host_keys[name], partial(self._check, name))
        with self._guard:
            self._remotes[name] = fresh
        return fresh

    def await_one(self, name: str, tell: Callable[[str], None], limit_seconds: float) -> None:
        """Connects to a host, waiting for it while it boots; one that has ended is not waited for."""
        deadline = time.monotonic() + limit_seconds
        told = False
        while True:
            try:
                self._connect_watched(name)
            except Unreachable:
                self._check(name)
                if time.monotonic() > deadline:
                    raise
                if not told:
                    tell(f"{name} does not answer yet; waiting up to {limit_seconds:.0f} s")
                    told = True
                time.sleep(BOOT_POLL_SECONDS)
            else:
                return

    def _connect_watched(self, name: str) -> None:
        """Connects to a host; gives an attempt up in its middle when the host has ended: it may take a minute."""
        attempt: Future[Remote] = Future()

        def connect_to() -> None:
            try:
                attempt.set_result(self.remote(name))
            except BaseException as error:
                attempt.set_exception(error)

        threading.Thread(target=connect_to, name=f"connect-{name}", daemon=True).start()
        while not wait([attempt], timeout=BOOT_POLL_SECONDS).done:
            self._check(name)
        attempt.result()

    def await_all(self, tell: Callable[[str], None]) -> None:
        """Connects to every host, side by side, waiting for those that still boot."""
        waits = {host.name: partial(self.await_one, host.name, tell, BOOT_SECONDS) for host in self.inventory.hosts}
        in_threads(waits, on_interrupt=self.close)

    def each(self, names: Iterable[str], work: Callable[[Remote], T]) -> dict[str, T]:
        """Runs `work` on several hosts at once, a thread each; the first error by name, after all have
        ended.
        """
        return in_threads({name: _bound(self, work, name) for name in names}, on_interrupt=self.close)

    def run(
        self, script: Script, arguments: Mapping[str, Sequence[str]], *, timeout_s: float = SCRIPT_TIMEOUT_S
    ) -> dict[str, ScriptResult]:
        """Runs one script on several hosts at once, with each host's own arguments."""
        return self.each(arguments, lambda remote: remote.run(script, arguments[remote.name], timeout_s=timeout_s))


def _bound(hosts: Hosts, work: Callable[[Remote], T], name: str) -> Callable[[], T]:
    return lambda: work(hosts.remote(name))


def in_threads(work: Mapping[str, Callable[[], T]], on_interrupt: Callable[[], None]) -> dict[str, T]:
    """Runs every piece of `work` in a thread of its own.

    An interrupt calls `on_interrupt`, which must unblock the threads. When several fail, the first by name
    is raised and the others are printed, so that one run shows every host that is at fault.
    """
    if not work:
        return {}
    pool = ThreadPoolExecutor(max_workers=len(work), thread_name_prefix="host")
    futures: dict[Future[T], str] = {pool.submit(job): name for name, job in work.items()}
    try:
        for _ in as_completed(futures):
            pass
    except BaseException:
        on_interrupt()
        pool.shutdown(wait=False, cancel_futures=True)
        raise
    pool.shutdown()
    errors = {name: error for future, name in futures.items() if (error := future.exception()) is not None}
    if errors:
        first, *others = (errors[name] for name in sorted(errors))
        for other in others:
            if isinstance(other, WorkloadError):
                print(f"tidemark: {other.shown}", file=sys.stderr)
        raise first
    return {name: future.result() for future, name in futures.items()}


def _drain(receive: Callable[[int], bytes], into: list[bytes]) -> None:
    with contextlib.suppress(OSError):
        while chunk := receive(65536):
            into.append(chunk)


def _lines(receive: Callable[[], bytes]) -> Iterator[str]:
    pending = b""
    while chunk := receive():
        *whole, pending = (pending + chunk).split(b"\n")
        for line in whole:
            yield line.decode(errors="replace")
    if pending:
        yield pending.decode(errors="replace")
