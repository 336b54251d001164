"""Chooses the kernel of the region's hosts, and checks that it runs on this very processor.

It is the one named, the one kept from Debian, or the machine's own.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lab.cache import cache_lock, delete_old
from lab.errors import LabError
from lab.kernel import debian
from lab.kernel.uml import PANIC
from lab.paths import PROJECT, cache_dir
from lab.process import run

VARIABLE = "TIDEMARK_KERNEL"
MACHINE_KERNEL = Path("/usr/bin/linux.uml")
MACHINE_MODULES = Path("/usr/lib/uml/modules")

ROOT = PROJECT / "lab" / "kernel" / "build" / "root"
LINE = "tidemark: user space runs"
"""What `init.c` prints."""
MEMORY_MIB = 64
TIMEOUT_SECONDS = 20
CAUSE = re.compile(r"userspace - .*errno.*|.*ptrace set fp regs failed.*|.*PROT_EXEC.*|.*: No space left on device.*")


@dataclass(frozen=True)
class Kernel:
    """A kernel and its modules (a folder named by the release); `origin` says whose it is."""

    path: Path
    modules: Path
    release: str
    origin: str

    def __str__(self) -> str:
        return f"Linux {self.release}, {self.origin}"


def choose_kernel(say: Callable[[str], None]) -> Kernel:
    """Returns the kernel of TIDEMARK_KERNEL; else Debian's, fetched if it is not kept yet; else the machine's own.

    Raises LabError if there is none. `check_boot` checks that it runs on this processor.
    """
    named = os.environ.get(VARIABLE)
    if named:
        return _named(Path(named).expanduser().absolute())
    kernels = cache_dir() / "kernels"
    with cache_lock(kernels):
        folder = next(kernels.glob(f"*-{debian.recipe_digest()}"), None)
        if folder is None:
            try:
                folder = debian.fetch(kernels, say)
            except LabError as fault:
                return _machine_kernel(fault, say)
            delete_old(kernels, "user-mode-linux-*", "linux", "tidemark-kernel-*")
    path = folder / "linux"
    release = release_of(path)
    return Kernel(path, folder / "modules" / release, release, f"Debian {debian.SUITE}")


def _named(path: Path) -> Kernel:
    if not os.access(path, os.X_OK) or path.is_dir():
        raise LabError(f"{VARIABLE}={path}: no program there that can be run; name a User Mode Linux kernel")
    release = release_of(path)
    places = [path.parent / "modules" / release, MACHINE_MODULES / release, Path("/usr/lib/modules") / release]
    modules = next((place for place in places if place.is_dir()), None)
    if modules is None:
        raise LabError(f"{VARIABLE}={path}: no modules of {release}; looked for {', '.join(map(str, places))}")
    return Kernel(path, modules, release, f"named by {VARIABLE}")


def _machine_kernel(fault: LabError, say: Callable[[str], None]) -> Kernel:
    if not MACHINE_KERNEL.exists():
        raise LabError(
            f"no kernel for the hosts: {fault}; see to the network or the mirror, or name one with {VARIABLE}"
        ) from fault
    release = release_of(MACHINE_KERNEL)
    say(f"kernel: this machine's own, Linux {release}, since Debian's could not be fetched: {fault}")
    return Kernel(MACHINE_KERNEL, MACHINE_MODULES / release, release, "this machine's own")


def release_of(kernel: Path) -> str:
    """Returns the release that the kernel prints, such as 7.2.7."""
    words = run([kernel, "--version"], timeout_seconds=10).split()
    if len(words) != 1:
        raise LabError(f"{kernel}: not a User Mode Linux kernel: `--version` prints {' '.join(words)[:60]!r}")
    return words[0]


def check_boot(kernel: Kernel) -> None:
    """Boots the kernel to one program, which prints a line, and off again, in about a second.

    Raises LabError with what its console says.
    """
    if not (ROOT / "init").exists():
        raise LabError(f"{ROOT / 'init'}: not there; `make setup` compiles it")
    with tempfile.TemporaryDirectory(prefix="tidemark-boot-check-") as folder:
        root = Path(folder, "root")  # by a path without spaces, which a kernel's command line can't hold
        root.symlink_to(ROOT)
        command = [
            str(kernel.path),
            f"mem={MEMORY_MIB}M",
            "seccomp=auto",
            "root=/dev/root",
            "rootfstype=hostfs",
            f"rootflags={root}",
            "ro",
            "init=/init",
            "con=null",
            "con0=null,fd:1",
            "ssl=null",
            "umid=check",
            f"uml_dir={folder}",
        ]
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        try:
            console, _ = process.communicate(timeout=TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            console = ""
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
    if LINE not in console:
        reason = _reason(console)
        raise LabError(f"{kernel} does not run on this machine: {reason}; {_remedy(reason)}")


def _reason(console: str) -> str:
    """Returns the line of a console that says why a kernel ended."""
    found = CAUSE.search(console) or PANIC.search(console)
    if found:
        return found.group().strip()
    lines = [line.strip() for line in console.splitlines() if line.strip()]
    return lines[-1] if lines else f"no word from it within {TIMEOUT_SECONDS} s"


def _remedy(reason: str) -> str:
    if "fp regs" in reason:
        return (
            "kernels before 6.13 can't run on a processor with AMX: let Debian's newer one be fetched, "
            f"or name one with {VARIABLE}"
        )
    return f"name another kernel with {VARIABLE}"
