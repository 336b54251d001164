"""Starting a User Mode Linux kernel: what every host of the region has in common."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lab.image.build import KERNEL


@dataclass(frozen=True)
class Machine:
    """The virtual hardware: `tap` is the interface that it is plugged into, `cpu` one of this machine's."""

    name: str
    memory_mib: int
    cpu: int
    tap: str
    mac: str
    mtu: int


def boot(
    machine: Machine, image: Path, folder: Path, arguments: Sequence[str], *, namespace_pid: int | None = None
) -> subprocess.Popen[bytes]:
    """Start a kernel over a copy-on-write file in `folder`, with `arguments` on its command line.

    It writes its console to `folder`/console.log. `namespace_pid` names a process whose network namespace it lives in;
    otherwise that is this one's.
    """
    command = [] if namespace_pid is None else ["nsenter", f"--net=/proc/{namespace_pid}/ns/net"]
    command += [
        # A User Mode Linux kernel traces its processes: every system call is two switches between the two, and each
        # costs three times as much when they sit on different CPUs (measured: 104 µs a call against 30).
        "taskset",
        "--cpu-list",
        str(machine.cpu),
        str(KERNEL),
        f"mem={machine.memory_mib}M",
        f"ubd0={folder / 'root.cow'},{image}",
        "root=/dev/ubda",
        "rw",
        "quiet",
        # mtu cannot be raised later, and without gro bulk TCP stalls (measured: 4 MB/s and dropped sessions).
        f"vec0:transport=tap,ifname={machine.tap},mac={machine.mac},depth=64,gro=1,mtu={machine.mtu}",
        "con=null",
        "con0=null,fd:1",
        "ssl=null",
        f"umid={machine.name}",
        "uml_dir=.",  # relative to the process's folder: a socket's path must be short
        *arguments,
    ]
    with (folder / "console.log").open("ab") as console:
        # Its own process group: the kernel's helper processes end with it.
        return subprocess.Popen(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=console,
            start_new_session=True,
        )
