"""Chooses the kernel of the region's hosts: the one named, the one kept from Debian, or the machine's own."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lab.cache import cache_lock, delete_old
from lab.errors import LabError
from lab.kernel import debian
from lab.paths import cache_dir
from lab.process import run

VARIABLE = "TIDEMARK_KERNEL"
MACHINE_KERNEL = Path("/usr/bin/linux.uml")
MACHINE_MODULES = Path("/usr/lib/uml/modules")


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

    Raises LabError if there is none. lab/kernel/boot_check.py checks that it runs on this processor.
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
    """Returns the release that the kernel prints, such as 7.2.7."""
    words = run([kernel, "--version"], timeout_seconds=10).split()
    if len(words) != 1:
        raise LabError(f"{kernel}: not a User Mode Linux kernel: `--version` prints {' '.join(words)[:60]!r}")
    return words[0]
