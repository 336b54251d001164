"""Starting a kernel: what every host of the region has in common."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lab.paths import PROJECT
from lab.vpc import VPC_MTU_BYTES

PRELOADED = tuple(
    PROJECT / "lab" / "kernel" / "build" / f"{name}.so" for name in ("packet_socket", "one_event", "volume_limits")
)


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
