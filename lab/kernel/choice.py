"""Which kernel the region's hosts run: the one named, the one kept from Debian, or the machine's own."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lab.errors import LabError
from lab.kernel import debian
from lab.paths import cache_dir
from lab.process import run

VARIABLE = "TIDEMARK_KERNEL"
MACHINE_KERNEL = Path("/usr/bin/linux.uml")
MACHINE_MODULES = Path("/usr/lib/uml/modules")
KEPT_KERNELS = 2  # today's and the one before, for whoever goes back and forth between two branches


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
    """The kernel of TIDEMARK_KERNEL; else Debian's, fetched if it is not kept yet; else the machine's own.

    Raises LabError when none of them can be had. Whether the kernel runs on this processor is another question
    (lab/kernel/boot_check.py).
    """
    named = os.environ.get(VARIABLE)
    if named:
        return _named(Path(named).expanduser().absolute())
    kernels = cache_dir() / "kernels"
    kernels.mkdir(parents=True, exist_ok=True)
    # Two rehearsals at once fetch one kernel: the second waits for the first's.
    with (kernels / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        folder = next(kernels.glob(f"*-{debian.recipe_digest()}"), None)
        if folder is None:
            try:
                folder = debian.fetch(kernels, say)
            except LabError as fault:
                return _machine_kernel(fault, say)
            _forget_old(kernels)
    return _kept(folder)


def _named(path: Path) -> Kernel:
    if not os.access(path, os.X_OK) or path.is_dir():
        raise LabError(f"{VARIABLE}={path}: no program there that can be run; name a User Mode Linux kernel")
    release = release_of(path)
    places = [path.parent / "modules" / release, MACHINE_MODULES / release, Path("/usr/lib/modules") / release]
    modules = next((place for place in places if place.is_dir()), None)
    if modules is None:
        raise LabError(f"{VARIABLE}={path}: no modules of {release}; looked for {', '.join(map(str, places))}")
    return Kernel(path, modules, release, f"named by {VARIABLE}")


def _kept(folder: Path) -> Kernel:
    path = folder / "linux"
    release = release_of(path)
    return Kernel(path, folder / "modules" / release, release, f"Debian {debian.SUITE}")


def _machine_kernel(fault: LabError, say: Callable[[str], None]) -> Kernel:
    if not MACHINE_KERNEL.exists():
        raise LabError(
            f"no kernel for the hosts: {fault}; see to the network or the mirror, or name one with {VARIABLE}"
        ) from fault
    release = release_of(MACHINE_KERNEL)
    say(f"kernel: this machine's own, Linux {release}, since Debian's could not be fetched: {fault}")
    return Kernel(MACHINE_KERNEL, MACHINE_MODULES / release, release, "this machine's own")


def release_of(kernel: Path) -> str:
    """What the kernel calls itself, such as 7.2.7."""
    words = run([kernel, "--version"], timeout_seconds=10).split()
    if len(words) != 1:
        raise LabError(f"{kernel}: not a User Mode Linux kernel: `--version` prints {' '.join(words)[:60]!r}")
    return words[0]


def _forget_old(kernels: Path) -> None:
    newest_first = sorted(kernels.glob("user-mode-linux-*"), key=lambda path: path.stat().st_mtime, reverse=True)
    for folder in newest_first[KEPT_KERNELS:]:
        with (folder / "linux").open("rb") as kernel, contextlib.suppress(BlockingIOError):
            fcntl.flock(kernel, fcntl.LOCK_EX | fcntl.LOCK_NB)  # refused while a region's hosts run it
            shutil.rmtree(folder)
    for scratch in kernels.glob("tidemark-kernel-*"):  # of a fetch that was killed; the lock says that none runs
        shutil.rmtree(scratch, ignore_errors=True)
