"""Builds the root image once for each recipe and keeps it.

The recipe is all that determines the image: package list, overlay, customisation, this file, and the release of the
hosts' kernel, whose modules the image contains.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from lab.cache import cache_lock, delete_old
from lab.kernel.choice import Kernel
from lab.paths import cache_dir
from lab.process import run

HERE = Path(__file__).resolve().parent
SUITE = "bookworm"  # Debian 12, the image that the stacks name on AWS
ROOT_SIZE_BYTES = 3 * 1024**3  # sparse; about 600 MB are used
BUILD_TIMEOUT_SECONDS = 900  # about 50 s near a Debian mirror
# mmdebstrap's own examples exclude these so; hosts are measured, not read about.
EXCLUDED_PATHS = ("/usr/share/man/*", "/usr/share/doc/*", "/usr/share/locale/*", "/usr/share/info/*")


def packages() -> list[str]:
    """Returns the packages named in packages.txt."""
    lines = (HERE / "packages.txt").read_text().splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def recipe_digest(release: str) -> str:
    """Returns the first 16 digits of a SHA-256 over the recipe."""
    digest = hashlib.sha256(f"{SUITE} {release} {ROOT_SIZE_BYTES}".encode())
    recipe = [Path(__file__).resolve(), HERE / "packages.txt", HERE / "customize.sh"]
    recipe += sorted(path for path in (HERE / "overlay").rglob("*") if path.is_file())
    for path in recipe:
        digest.update(f"\0{path.relative_to(HERE)}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def ensure_image(kernel: Kernel, say: Callable[[str], None]) -> Path:
    """Returns the path of the root image for hosts with this kernel, and builds it if needed.

    Raises LabError if a tool is missing or the build fails; leaves nothing half-built.
    """
    images = cache_dir() / "images"
    image = images / f"debian-12-{recipe_digest(kernel.release)}.ext4"
    with cache_lock(images):
        if image.exists():
            say(f"root image: reused ({image.name})")
            return image
        say(f"root image: building Debian 12 with {len(packages())} packages, once for this recipe (about a minute)")
        _build(image, kernel.modules)
        delete_old(images, "debian-12-*.ext4", "", "tidemark-image-*")
    say(f"root image: built, {image.stat().st_blocks * 512 / 1e6:.0f} MB on disk ({image.name})")
    return image


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
            # As root it mounts /dev, /proc and /sys in the new system: an interrupt must not leave these mounts in a
            # folder that somebody deletes. For other users it makes namespaces itself.
            contained=os.geteuid() == 0,
        )
        with unfinished.open("wb") as file:
            file.truncate(ROOT_SIZE_BYTES)
        # No reserved blocks, no lazy initialisation: a host must not write to its disk by itself while it is measured.
        options = ["-q", "-F", "-m", "0", "-E", "lazy_itable_init=0,lazy_journal_init=0"]
        run(["mkfs.ext4", *options, "-d", root, unfinished], timeout_seconds=BUILD_TIMEOUT_SECONDS)
        unfinished.rename(image)
