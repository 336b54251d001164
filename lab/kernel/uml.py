"""A User Mode Linux process: how it is started, what it is told while it runs, and why it exited."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import struct
import subprocess
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.errors import LabError
from lab.paths import PROJECT, socket_address
from lab.vpc import VPC_MTU_BYTES

PRELOADED = tuple(
    PROJECT / "lab" / "kernel" / "build" / f"{name}.so" for name in ("packet_socket", "one_event", "volume_limits")
)

# The management console's protocol is that of the kernel's arch/um/drivers/mconsole.h.
MAGIC = 0xCAFEBABE
VERSION = 2
MAX_DATA_BYTES = 512
REQUEST = struct.Struct(f"=IiI{MAX_DATA_BYTES}s")  # magic, version, length, data
REPLY_HEADER = struct.Struct("=III")  # error, more follows, length; the data follow, often cut short

# The kernel's own words for its end (kernel/panic.c), and User Mode Linux' for the fault that is behind many of them
# (arch/um/os-Linux/skas/process.c).
PANIC = re.compile(r"Kernel panic - not syncing: .*")
_CAUSE = re.compile(r"userspace - ptrace \S.* failed.*")
BOOT_LINE = "tidemark: power on"
"""Written to a console before each boot: the lines above it belong to an earlier boot."""

OnExit = Callable[[int], None]
"""Takes an exit code, negative for the signal that ended the process."""


@dataclass(frozen=True)
class BootFiles:
    """What every host starts from: a kernel, and the root image that holds its modules."""

    kernel: Path
    image: Path


@dataclass(frozen=True)
class Hardware:
    """A host's virtual hardware: `interface` is the end of a veth pair that is its network card, `cpu` one of this
    machine's.
    """

    name: str
    memory_mib: int
    cpu: int
    interface: str
    mac: str


def boot(
    hardware: Hardware,
    files: BootFiles,
    folder: Path,
    arguments: Sequence[str],
    *,
    namespace_pid: int | None = None,
    block_limits: Path | None = None,
) -> subprocess.Popen[bytes]:
    """Starts a kernel over a copy-on-write file in `folder`, with `arguments` on its command line.

    It writes its console to `folder`/console.log. `namespace_pid` names a process whose network namespace it lives in;
    otherwise that is this one's. `block_limits` is the file of its volumes' limits (lab/block_limits.py).
    """
    environment = {**os.environ, "LD_PRELOAD": ":".join(map(str, PRELOADED))}
    if block_limits is not None:
        environment |= {"TIDEMARK_BLOCK_LIMITS": str(block_limits), "TIDEMARK_HOST_ID": hardware.name}
    command = [] if namespace_pid is None else ["nsenter", f"--net=/proc/{namespace_pid}/ns/net"]
    command += [
        # A host's kernel and its processes wait for each other at each system call, which takes three times as long
        # when they sit on different CPUs (measured: 104 µs a call against 30).
        "taskset",
        "--cpu-list",
        str(hardware.cpu),
        str(files.kernel),
        f"mem={hardware.memory_mib}M",
        f"ubd0={folder / 'root.cow'},{files.image}",
        "root=/dev/ubda",
        "rw",
        "quiet",
        # Processes run under seccomp where kernel and machine have it (Linux 6.16), else they are traced: a system call
        # takes 3.5 µs and 6.3 µs, a page fault 10 and 21.
        "seccomp=auto",
        # `raw` and not `tap`: a tun device sends SIGIO before it marks itself readable (tun_net_xmit in Linux), so that
        # the host may look too early and leave a packet until the next one comes (docs/explanation/rehearsal-hosts.md).
        # mtu can't be raised later, and without gro bulk TCP stalls (measured: 4 MB/s and dropped sessions).
        f"vec0:transport=raw,ifname={hardware.interface},mac={hardware.mac},depth=64,gro=1,mtu={VPC_MTU_BYTES}",
        "con=null",
        "con0=null,fd:1",
        "ssl=null",
        f"umid={hardware.name}",
        "uml_dir=.",  # relative to the process's folder: a socket's path must be short
        *arguments,
    ]
    with (folder / "console.log").open("ab") as console:
        # Its own process group: the kernel's helper processes end with it.
        return subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=console,
            start_new_session=True,
        )


def mconsole(socket_path: Path, command: str, timeout_seconds: float = 5) -> str:
    """Sends a command to a host's management console, a datagram socket, and returns the text of the reply.

    Raises LabError if the host refuses it, or does not answer in time (it has died or is not up yet).
    """
    data = command.encode()
    if len(data) >= MAX_DATA_BYTES:
        raise LabError(
            f"mconsole {socket_path.parent.name}: the command has {len(data)} bytes, {MAX_DATA_BYTES - 1} fit"
        )
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client:
        client.settimeout(timeout_seconds)
        client.bind(f"\0tidemark-mconsole-{os.getpid()}-{id(client)}")
        try:
            with socket_address(socket_path) as address:
                client.sendto(REQUEST.pack(MAGIC, VERSION, len(data), data), address)
            text = b""
            while True:
                packet = client.recv(REPLY_HEADER.size + MAX_DATA_BYTES)
                error, more, length = REPLY_HEADER.unpack_from(packet)
                text += packet[REPLY_HEADER.size :][:length].rstrip(b"\0")
                if not more:
                    break
        except (OSError, struct.error) as fault:
            raise LabError(f"mconsole {socket_path.parent.name}: {command.split()[0]}: {fault}") from fault
    reply = text.decode(errors="replace").strip()
    if error:
        raise LabError(f"mconsole {socket_path.parent.name}: {command.split()[0]}: {reply or error}")
    return reply


class ExitWatch:
    """Calls `on_exit` once when a child process exits, unless the exit is expected. Waits in a thread of its own."""

    def __init__(self, process: subprocess.Popen[Any], on_exit: OnExit) -> None:
        self._process = process
        self._on_exit: OnExit | None = on_exit
        self._lock = threading.Lock()
        threading.Thread(target=self._wait, name=f"exit-of-{process.pid}", daemon=True).start()

    def expect(self) -> None:
        """Stops reporting the exit, since the region itself ends the process."""
        with self._lock:
            self._on_exit = None

    def report(self) -> None:
        """Waits for the process and returns when its exit has been reported, by this call or before."""
        with self._lock:
            on_exit, self._on_exit = self._on_exit, None
            if on_exit is not None:
                on_exit(self._process.wait())

    def _wait(self) -> None:
        with contextlib.suppress(ChildProcessError):  # its exit code was collected already
            os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT)
        self.report()


@dataclass(frozen=True)
class ExitReason:
    """Code and text of an instance's StateReason (EC2 API Reference)."""

    code: str
    text: str

    @property
    def message(self) -> str:
        return f"{self.code}: {self.text}"


def exit_reason(exit_code: int, console: str) -> ExitReason:
    """Explains an exit by its code (negative: that signal) and the console of the host."""
    newest = console.rpartition(BOOT_LINE)[2]
    panics = list(PANIC.finditer(newest))
    if panics:
        cause = _CAUSE.search(newest)
        panic = panics[-1][0].strip()
        return _kernel_ended(panic if cause is None else f"{cause[0].strip()}; {panic}")
    if exit_code == 0:
        return ExitReason("Client.InstanceInitiatedShutdown", "Instance initiated shutdown")
    if exit_code < 0:
        try:
            name = signal.Signals(-exit_code).name
        except ValueError:
            name = f"signal {-exit_code}"
        memory = "; this machine may be out of memory" if name == "SIGKILL" else ""
        return _kernel_ended(f"it was killed ({name}{memory})")
    last = [line.strip() for line in newest.splitlines() if line.strip()][-1:] or ["an empty console"]
    return _kernel_ended(f"exit code {exit_code}, after {last[0]}")


def _kernel_ended(why: str) -> ExitReason:
    return ExitReason("Server.InternalError", f"the host's kernel ended: {why}")
