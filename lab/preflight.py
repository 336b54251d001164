"""Checks that this machine can rehearse, before anything is built or declared."""

from __future__ import annotations

import errno
import os
import shutil
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from lab.errors import LabError
from lab.kernel.choice import Kernel, check_boot, choose_kernel
from lab.kernel.uml import PRELOADED
from lab.paths import PROJECT, cache_dir, lab_dir, results_dir
from lab.process import run

DEFAULT_PORT = 4566  # that of the endpoints in stacks/*.lab.yaml
TOOLS = (
    "unshare",
    "nsenter",
    "ip",
    "nft",
    "sysctl",
    "mount",
    "setpriv",
    "taskset",
    "ssh-keygen",
    "mmdebstrap",
    "mkfs.ext4",
    "apt-get",
    "patchelf",
)
MEMORY_BYTES = 4 * 1024**3  # the largest stack: four hosts, what is written to their volumes, and the tasks
DISK_BYTES = {
    "the cache": 2 * 1024**3,  # an image of 0.6 GB, the same once more while it is built, and a kernel of 0.2
    "the region's folder": 1024**3,  # what hosts write to their root disks
    "the results": 200 * 1000**2,  # the largest run has 20 MB
}
NAMESPACES = ("--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
"""What the region's process lives in (lab/control.py)."""


@dataclass(frozen=True)
class Finding:
    """The result of one check; a fault has a remedy."""

    subject: str
    found: str
    remedy: str | None = None

    @property
    def is_fault(self) -> bool:
        return self.remedy is not None

    def __str__(self) -> str:
        return f"{self.subject}: {self.found}" + (f"; {self.remedy}" if self.remedy else "")


def check_machine() -> None:
    """Raises LabError for the first thing that this machine lacks. Checks all but the kernel and the port."""
    for finding in _machine():
        if finding.is_fault:
            raise LabError(str(finding))


def prepare_kernel(say: Callable[[str], None]) -> Kernel:
    """Returns a kernel that runs on this processor. Raises LabError with the reason on its console otherwise."""
    kernel = choose_kernel(say)
    check_boot(kernel)
    return kernel


def findings(say: Callable[[str], None]) -> Iterator[Finding]:
    """Makes all checks, for `python -m lab doctor`."""
    yield from _machine()
    yield _port()
    try:
        kernel = prepare_kernel(say)
    except LabError as fault:
        what, _, remedy = str(fault).partition("; ")
        yield Finding("kernel", what, remedy or "see the line above")
    else:
        yield Finding("kernel", f"{kernel} runs on this processor ({processor()})")


def processor(cpuinfo: str | None = None) -> str:
    """Returns the name of this machine's processor, and whether it has AMX: older User Mode Linux can't hold its
    registers. `cpuinfo` is the text of /proc/cpuinfo.
    """
    text = Path("/proc/cpuinfo").read_text() if cpuinfo is None else cpuinfo
    fields = dict(line.partition(":")[::2] for line in text.split("\n\n")[0].splitlines())
    named = {name.strip(): value.strip() for name, value in fields.items()}
    amx = "with" if "amx_tile" in named.get("flags", "").split() else "without"
    return f"{named.get('model name', 'of an unknown name')}, {amx} AMX"


def endpoint_port() -> int:
    """Returns the loopback port of the API: TIDEMARK_LAB_PORT, or 4566."""
    text = os.environ.get("TIDEMARK_LAB_PORT", str(DEFAULT_PORT))
    if not (text.isascii() and text.isdigit()) or not 1 <= int(text) <= 65535:
        raise LabError(f"TIDEMARK_LAB_PORT={text}: a port is a number from 1 to 65535")
    return int(text)


def listen(port: int) -> socket.socket:
    """Listens for the API at that port of loopback. Raises LabError if another process listens there."""
    try:
        return socket.create_server(("127.0.0.1", port))
    except OSError as fault:
        if fault.errno != errno.EADDRINUSE:
            raise LabError(f"127.0.0.1:{port}: {fault.strerror}") from fault
        raise LabError(
            f"127.0.0.1:{port}: another process listens there; end it, or choose another port with TIDEMARK_LAB_PORT"
        ) from None


def _machine() -> Iterator[Finding]:
    yield _tools()
    yield _preloaded()
    yield _namespaces()
    yield _memory()
    for what, folder in (
        ("the cache", cache_dir()),
        ("the region's folder", lab_dir()),
        ("the results", results_dir()),
    ):
        yield _disk(what, folder)


def _tools() -> Finding:
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        return Finding(
            "tools", f"{', '.join(missing)} not on this machine", "`make setup` installs the Debian packages"
        )
    return Finding("tools", f"all {len(TOOLS)} are here")


def _preloaded() -> Finding:
    """Without these a host boots all the same: with no limit on its volumes, and losing packets and interrupts."""
    for library in PRELOADED:
        folder = library.parent.parent
        source = folder / f"{library.stem}.c"
        if not library.exists() or library.stat().st_mtime < source.stat().st_mtime:
            words = "is older than its source" if library.exists() else "is not compiled"
            place = library.relative_to(PROJECT) if library.is_relative_to(PROJECT) else library
            return Finding("native parts", f"{place} {words}", "`make worker` compiles it")
    return Finding("native parts", "what hosts are started with is compiled")


def _namespaces() -> Finding:
    """Does what the region does first: makes namespaces, and in them a veth pair, a rule of nftables and a mount."""
    user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    script = "ip link add eni-0 type veth peer name uml-0 && nft add table inet vpc && mount -t tmpfs tmpfs /tmp"
    try:
        run(["unshare", *NAMESPACES, *user, "sh", "-c", script], timeout_seconds=10)
    except LabError as fault:
        remedy = "run as root, outside of containers that forbid it (docker: --privileged)"
        return Finding("namespaces", str(fault).rpartition(": ")[2], remedy)
    return Finding("namespaces", "network, mounts, processes, veth and nftables work")


def _memory() -> Finding:
    available = available_memory_bytes()
    remedy = f"a rehearsal takes {MEMORY_BYTES / 1024**3:.0f} GiB: end something, or add some"
    found = f"{available / 1024**3:.1f} GiB available"
    return Finding("memory", found, remedy if available < MEMORY_BYTES else None)


def available_memory_bytes() -> int:
    """Returns the available memory of this machine, or of this process's control groups, if that is less."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    available = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    group = Path("/proc/self/cgroup").read_text().strip().rpartition("::")[2]
    folder = Path("/sys/fs/cgroup") / group.lstrip("/")
    for place in (folder, *folder.parents):
        try:
            limit, used = (place / "memory.max").read_text().strip(), int((place / "memory.current").read_text())
            if limit != "max":
                available = min(available, int(limit) - used)
        except (OSError, ValueError):  # the root group has no limit, and neither has what is above it
            continue
    return available


def _disk(what: str, folder: Path) -> Finding:
    there = next(place for place in (folder, *folder.parents) if place.exists())
    usage = shutil.disk_usage(there)
    free, needed = usage.free, DISK_BYTES[what]
    found = f"{free / 1e9:.1f} GB free for {what} ({there})"
    if not os.access(there, os.W_OK) or usage.total == 0:  # /proc and its like have no room for anything
        return Finding(
            str(folder), f"can't be made or written to, and {what} is there", "see to its owner and its mount"
        )
    return Finding("disk", found, f"{needed / 1e9:.1f} GB are needed there" if free < needed else None)


def _port() -> Finding:
    try:
        port = endpoint_port()
        listen(port).close()
    except LabError as fault:
        what, _, remedy = str(fault).partition("; ")
        return Finding("port", what, remedy or "choose another with TIDEMARK_LAB_PORT")
    return Finding("port", f"127.0.0.1:{port} is free")
