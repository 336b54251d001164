"""Build the root image once for each recipe and keep it.

The recipe is everything that decides the image: package list, overlay, customisation, this file, and the
release of the hosts' kernel, whose modules go in. Another recipe is another image.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from lab.kernel.choice import Kernel
from lab.paths import cache_dir
from lab.process import run

HERE = Path(__file__).resolve().parent
SUITE = "bookworm"  # Debian 12, the image that the stacks name on AWS
ROOT_SIZE_BYTES = 3 * 1024**3  # sparse; about 600 MB are used
BUILD_TIMEOUT_SECONDS = 900  # about 50 s near a Debian mirror
KEPT_IMAGES = 2  # today's and the one before, for whoever goes back and forth between two branches
# mmdebstrap's own examples exclude these so; hosts are measured, not read about.
EXCLUDED_PATHS = ("/usr/share/man/*", "/usr/share/doc/*", "/usr/share/locale/*", "/usr/share/info/*")


def packages() -> list[str]:
    """The packages named in packages.txt."""
    lines = (HERE / "packages.txt").read_text().splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def recipe_digest(release: str) -> str:
    """A name for the image: SHA-256 over everything that decides it, shortened to 16 digits."""
    digest = hashlib.sha256(f"{SUITE} {release} {ROOT_SIZE_BYTES}".encode())
    recipe = [Path(__file__).resolve(), HERE / "packages.txt", HERE / "customize.sh"]
    recipe += sorted(path for path in (HERE / "overlay").rglob("*") if path.is_file())
    for path in recipe:
        digest.update(f"\0{path.relative_to(HERE)}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


@contextmanager
def _one_builder(images: Path) -> Iterator[None]:
    """Two rehearsals at once build one image: the second waits for the first's."""
    with (images / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def ensure_image(kernel: Kernel, say: Callable[[str], None]) -> Path:
    """The path of the root image of today's recipe for hosts with this kernel, built if it is not there yet.

    Raises LabError when a tool is missing or the build fails; nothing half-built stays.
    """
    images = cache_dir() / "images"
    images.mkdir(parents=True, exist_ok=True)
    image = images / f"debian-12-{recipe_digest(kernel.release)}.ext4"
    with _one_builder(images):
        if image.exists():
            say(f"root image: reused ({image.name})")
            return image
        say(f"root image: building Debian 12 with {len(packages())} packages, once for this recipe (about a minute)")
        _build(image, kernel.modules)
        _forget_old(images)
    say(f"root image: built, {image.stat().st_blocks * 512 / 1e6:.0f} MB on disk ({image.name})")
    return image


def hold(file: Path) -> IO[bytes]:
    """Keep an image, or a kernel, from being forgotten for as long as what this returns is open."""
    held = file.open("rb")
    fcntl.flock(held, fcntl.LOCK_SH)
    return held


def _build(image: Path, modules: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="tidemark-image-", dir=image.parent) as scratch_name:
        root = Path(scratch_name) / "root"
        unfinished = Path(scratch_name) / "image.ext4"
        # The keyring and mirror are mmdebstrap's defaults for the suite, or the machine's own sources for it.
        run(
            [
                "mmdebstrap",
                "--variant=minbase",
                "--format=directory",
                '--aptopt=Apt::Install-Recommends "false"',
                '--aptopt=Acquire::Check-Date "false"',  # as for the kernel (lab/kernel/debian.py)
                *(f"--dpkgopt=path-exclude={path}" for path in EXCLUDED_PATHS),
                f"--include={','.join(packages())}",
                f"--customize-hook=copy-in {HERE}/overlay/etc /",
                f"--customize-hook=copy-in {HERE}/overlay/usr /",
                '--customize-hook=mkdir -p "$1/usr/lib/modules"',
                f"--customize-hook=copy-in {modules} /usr/lib/modules",
                f'--customize-hook={HERE}/customize.sh "$1"',
                SUITE,
                root,
            ],
            timeout_seconds=BUILD_TIMEOUT_SECONDS,
            log=image.parent / "build.log",
            # As root it mounts /dev, /proc and /sys in the new system: an interrupt must leave none of them, least of
            # all to whoever deletes the folder. For others it makes namespaces itself.
            contained=os.geteuid() == 0,
        )
        with unfinished.open("wb") as file:
            file.truncate(ROOT_SIZE_BYTES)
        # No reserved blocks, no lazy initialisation: a host must not write to its disk by itself while it is measured.
        run(
            [
                "mkfs.ext4",
                "-q",
                "-F",
                "-m",
                "0",
                "-E",
                "lazy_itable_init=0,lazy_journal_init=0",
                "-d",
                root,
                unfinished,
            ],
            timeout_seconds=BUILD_TIMEOUT_SECONDS,
        )
        unfinished.rename(image)


def _forget_old(images: Path) -> None:
    newest_first = sorted(images.glob("debian-12-*.ext4"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in newest_first[KEPT_IMAGES:]:
        with path.open("rb") as image, contextlib.suppress(BlockingIOError):
            fcntl.flock(image, fcntl.LOCK_EX | fcntl.LOCK_NB)  # refused while a region's hosts stand on it
            path.unlink()
    for scratch in images.glob("tidemark-image-*"):  # of a build that was killed; the lock says that none runs
        shutil.rmtree(scratch, ignore_errors=True)
