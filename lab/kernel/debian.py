"""The kernel of the region's hosts, taken from Debian and kept in a folder of its own.

Debian 12's and 13's User Mode Linux (6.1, 6.12) can't run on a processor with AMX: the kernel keeps the registers of a
process in an area of fixed size, and Linux takes nothing less than all of them. That was mended in 6.13. Debian's
testing suite has a newer one, which needs a newer C library than Debian 12's; that library lies beside it.

apt checks the archive's signature and each package's hash. It works in a folder of its own: of the machine's sources,
lists and packages only the mirror's address is read, and nothing is changed.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable
from pathlib import Path

from lab.errors import LabError
from lab.process import CommandFailedError, run

SUITE = "forky"
PACKAGES = ("user-mode-linux", "libc6")
DEFAULT_ARCHIVE = "http://deb.debian.org/debian"
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
RECIPE_DATE = "2026-11-30"
"""A newer kernel of the suite is taken when this date is changed, and never in the middle of somebody's work."""
LIBRARIES = "usr/lib/x86_64-linux-gnu"
NEEDED_LIBRARIES = ("ld-linux-x86-64.so.2", "libc.so.6")
TIMEOUT_SECONDS = 300  # about 50 MB are fetched
RETRIES = 2  # after one second and two


def recipe_digest() -> str:
    """Returns a name for what `fetch` makes: SHA-256 over what decides it, shortened to 8 digits."""
    return hashlib.sha256(" ".join([SUITE, *PACKAGES, RECIPE_DATE]).encode()).hexdigest()[:8]


def fetch(kernels: Path, say: Callable[[str], None], archive: str | None = None) -> Path:
    """Fetches the kernel into a new folder of `kernels`; returns that: `linux`, its C library, and modules/RELEASE.

    Raises LabError when the archive can't be reached, lacks the suite, or gives what its signature does not cover.
    Nothing half-made stays.
    """
    where = archive or machine_archive()
    say(f"kernel: fetching User Mode Linux from Debian {SUITE} ({where}), once for this recipe")
    try:
        folder = _fetch(kernels, where)
    except CommandFailedError as fault:
        # apt's first error is the cause; what follows is that it could not go on.
        errors = [line.removeprefix("E: ") for line in fault.stderr.splitlines() if line.startswith("E: ")]
        raise LabError(f"Debian {SUITE} at {where}: {errors[0] if errors else fault}") from fault
    say(f"kernel: fetched ({folder.name})")
    return folder


def _fetch(kernels: Path, archive: str) -> Path:
    with tempfile.TemporaryDirectory(prefix="tidemark-kernel-", dir=kernels) as scratch_name:
        scratch = Path(scratch_name)
        apt = _apt(scratch, archive)
        packages = scratch / "packages"
        packages.mkdir()
        run([*apt, "update"], timeout_seconds=TIMEOUT_SECONDS)
        run(["env", f"--chdir={packages}", *apt, "download", *PACKAGES], timeout_seconds=TIMEOUT_SECONDS)
        version = ""
        for package in sorted(packages.glob("*.deb")):
            name, its_version = run(["dpkg-deb", "--show", "--showformat=${Package} ${Version}", package]).split()
            run(["dpkg-deb", "--extract", package, scratch / name], timeout_seconds=TIMEOUT_SECONDS)
            version = its_version if name == PACKAGES[0] else version
        made = scratch / "made"
        made.mkdir()
        kernel = made / "linux"
        (scratch / PACKAGES[0] / "usr/bin/linux.uml").rename(kernel)
        (scratch / PACKAGES[0] / "usr/lib/uml/modules").rename(made / "modules")
        for library in NEEDED_LIBRARIES:
            (scratch / PACKAGES[1] / LIBRARIES / library).rename(made / library)
        # Its paths are absolute, so they must be those of the place where it will stand. (Started as an argument of
        # ld.so it takes its memory layout from the wrong program, and panics.)
        folder = kernels / f"user-mode-linux-{version}-{recipe_digest()}"
        interpreter = folder / NEEDED_LIBRARIES[0]
        run(["patchelf", "--set-interpreter", interpreter, "--set-rpath", folder, kernel])
        made.chmod(0o755)
        made.rename(folder)
    return folder


def machine_archive() -> str:
    """Returns the Debian mirror that this machine is set up to use; Debian's own if it names none."""
    asked = ["--format", "$(REPO_URI)", "Created-By: Packages", "Origin: Debian", "Label: Debian"]
    try:
        lines = run(["apt-get", "indextargets", *asked]).split()
    except LabError:
        return DEFAULT_ARCHIVE
    return lines[0].rstrip("/") if lines else DEFAULT_ARCHIVE


def _apt(scratch: Path, archive: str) -> list[str]:
    """Returns apt-get's command, with a state directory of its own, and that suite as its only source."""
    if not KEYRING.exists():
        raise LabError(f"{KEYRING}: not there; `make setup` installs Debian's package debian-archive-keyring")
    for folder in ("lists/partial", "cache/archives/partial"):
        (scratch / folder).mkdir(parents=True)
    (scratch / "sources.list").write_text(f"deb [signed-by={KEYRING}] {archive} {SUITE} main\n")
    options = {
        "APT::Architecture": "amd64",
        "APT::Sandbox::User": "",  # the scratch folder is nobody else's
        "APT::Update::Error-Mode": "any",  # an index that can't be had is an error, not a warning
        # A mirror may be weeks behind, and a clock wrong. What is signed is at worst an older kernel.
        "Acquire::Check-Date": "false",
        "Acquire::Languages": "none",
        "Acquire::Retries": RETRIES,
        "Acquire::http::Timeout": "15",
        "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled": "false",
        "Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled": "false",
        "Dir::Cache": scratch / "cache",
        "Dir::Etc::SourceList": scratch / "sources.list",
        "Dir::Etc::SourceParts": "/nonexistent",
        "Dir::State": scratch,
        "Dir::State::Status": "/dev/null",
    }
    return ["apt-get", "--quiet=2", *(f"--option={name}={value}" for name, value in options.items())]
