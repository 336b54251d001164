"""Which kernel the hosts run, where it comes from, and how one that does not run is named."""

from __future__ import annotations

import gzip
import hashlib
import shutil
import subprocess
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from lab.cache import KEPT
from lab.errors import LabError
from lab.kernel import choice, debian
from lab.kernel.choice import Kernel, check_boot, choose_kernel
from tests.conftest import free_port

RELEASE = "7.2.7"


def program(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def modules_beside(kernel: Path) -> Path:
    folder = kernel.parent / "modules" / RELEASE
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def kernels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, no kernel named, and none of the machine's own; a mirror is asked once."""
    monkeypatch.setattr(debian, "RETRIES", 0)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("TIDEMARK_KERNEL", raising=False)
    monkeypatch.setattr(choice, "MACHINE_KERNEL", tmp_path / "usr/bin/linux.uml")
    monkeypatch.setattr(choice, "MACHINE_MODULES", tmp_path / "usr/lib/uml/modules")
    folder = tmp_path / "cache" / "tidemark" / "kernels"
    folder.mkdir(parents=True)
    return folder


# --- the choice ------------------------------------------------------------------------------------------


def fake_fetch(kernels: Path, _: object) -> Path:
    folder = kernels / f"user-mode-linux-7.2um1-{debian.recipe_digest()}"
    modules_beside(program(folder / "linux", f"echo {RELEASE}"))
    return folder


def test_a_kernel_is_fetched_once_and_kept(kernels: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(debian, "fetch", fake_fetch)
    first = choose_kernel(lambda _: None)
    monkeypatch.setattr(debian, "fetch", lambda *_: pytest.fail("fetched again"))
    assert choose_kernel(lambda _: None) == first
    assert first.modules == first.path.parent / "modules" / RELEASE
    assert str(first) == "Linux 7.2.7, Debian forky"


def test_another_recipe_date_is_another_kernel_and_old_ones_are_forgotten(
    kernels: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(debian, "fetch", fake_fetch)
    for number in range(4):
        monkeypatch.setattr(debian, "RECIPE_DATE", f"2026-11-0{number + 1}")
        (kernels / "tidemark-kernel-killed").mkdir()
        newest = choose_kernel(lambda _: None)
    left = [path.name for path in kernels.iterdir() if path.is_dir()]
    assert newest.path.parent.name in left
    assert len(left) == KEPT


def test_the_named_kernel_is_taken(kernels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = program(tmp_path / "mine" / "linux", f"echo {RELEASE}")
    modules = modules_beside(path)
    monkeypatch.setenv("TIDEMARK_KERNEL", str(path))
    assert choose_kernel(lambda _: None) == Kernel(path, modules, RELEASE, "named by TIDEMARK_KERNEL")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, r"^TIDEMARK_KERNEL=.*/linux: no program there that can be run; name a User Mode Linux kernel$"),
        ("echo 7.2.7", r"^TIDEMARK_KERNEL=.*/linux: no modules of 7\.2\.7; looked for .*/modules/7\.2\.7, "),
        ("echo GNU bash, version 5", r"^.*/linux: not a User Mode Linux kernel: `--version` prints 'GNU bash, "),
        ("exit 1", r"linux --version: exit code 1: it printed nothing$"),
    ],
)
def test_a_named_kernel_that_is_none_is_one_line(
    kernels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None, said: str
) -> None:
    path = tmp_path / "mine" / "linux"
    if text is not None:
        program(path, text)
    monkeypatch.setenv("TIDEMARK_KERNEL", str(path))
    with pytest.raises(LabError, match=said):
        choose_kernel(lambda _: None)


def test_without_a_network_the_machines_own_kernel_is_taken_and_that_is_said(
    kernels: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(*_: object) -> Path:
        raise LabError("apt-get: no mirror")

    monkeypatch.setattr(debian, "fetch", unreachable)
    with pytest.raises(LabError, match=r"^no kernel for the hosts: apt-get: no mirror; .* TIDEMARK_KERNEL$"):
        choose_kernel(lambda _: None)
    program(choice.MACHINE_KERNEL, "echo 6.1.176")
    said: list[str] = []
    assert choose_kernel(said.append).origin == "this machine's own"
    assert said == [
        "kernel: this machine's own, Linux 6.1.176, since Debian's could not be fetched: apt-get: no mirror"
    ]


# --- Debian's archive ------------------------------------------------------------------------------------


class Archive(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder that stands for a mirror, and its address."""
    folder = tmp_path / "archive"
    folder.mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Archive, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield folder, f"http://127.0.0.1:{server.server_address[1]}/debian"
        server.shutdown()


def refused(kernels: Path, archive: str, said: str) -> None:
    with pytest.raises(LabError, match=said) as fault:
        debian.fetch(kernels, lambda _: None, archive)
    assert "\n" not in str(fault.value)
    assert list(kernels.iterdir()) == []


def test_a_mirror_that_cannot_be_reached_is_one_line(kernels: Path) -> None:
    refused(kernels, f"http://127.0.0.1:{free_port()}/debian", r"Debian forky at http://127\.0\.0\.1:\d+/debian: .*")


def test_a_mirror_without_the_suite_is_one_line(kernels: Path, archive: tuple[Path, str]) -> None:
    refused(kernels, archive[1], r"Debian forky at .*: .*does not have a Release file")


def test_an_archive_that_is_not_signed_is_refused(kernels: Path, archive: tuple[Path, str]) -> None:
    suite = archive[0] / "debian/dists/forky"
    suite.mkdir(parents=True)
    (suite / "InRelease").write_text("Origin: Debian\nSuite: testing\nCodename: forky\n")
    refused(kernels, archive[1], r"Debian forky at .*: ")


@pytest.mark.parametrize(
    "dates",
    [
        "Date: Mon, 30 Nov 2026 00:00:00 UTC",
        "Date: Fri, 30 Oct 2020 08:08:01 UTC\nValid-Until: Fri, 06 Nov 2020 08:08:01 UTC",
        "Date: Mon, 30 Nov 2099 00:00:00 UTC",
    ],
    ids=["of today", "of a mirror that is behind", "ahead of this clock"],
)
def test_a_damaged_package_is_refused(
    kernels: Path, archive: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dates: str
) -> None:
    """Everything is signed and in order, and then one byte of a package is another one. Its age is no fault."""
    if shutil.which("gpg") is None:
        pytest.skip("no gpg here to sign a mirror with (make setup-tests installs it)")
    folder, address = archive
    plain = tmp_path / "apt.conf"  # an image of Debian may let any date pass
    plain.write_text('Dir::Etc::Parts "/nonexistent"; Dir::Etc::Main "/nonexistent";')
    monkeypatch.setenv("APT_CONFIG", str(plain))
    monkeypatch.setattr(debian, "KEYRING", mirror(folder / "debian", tmp_path, dates))
    package = folder / "debian/pool/user-mode-linux.deb"
    intact = package.read_bytes()
    package.write_bytes(intact[:-1] + bytes([intact[-1] ^ 1]))
    refused(kernels, address, r"Debian forky at .*: .*(Hash Sum mismatch|unexpected size|Failed to fetch)")


def mirror(root: Path, scratch: Path, dates: str) -> Path:
    """A signed mirror with two small packages of the right names; returns its keyring."""
    packages = []
    for name in debian.PACKAGES:
        built = scratch / name
        (built / "DEBIAN").mkdir(parents=True)
        (built / "DEBIAN/control").write_text(
            f"Package: {name}\nVersion: 7.2um1\nArchitecture: amd64\nMaintainer: a test\nDescription: x\n"
        )
        (root / "pool").mkdir(parents=True, exist_ok=True)
        file = root / "pool" / f"{name}.deb"
        subprocess.run(["dpkg-deb", "--build", "--root-owner-group", built, file], check=True, capture_output=True)
        data = file.read_bytes()
        control = (built / "DEBIAN/control").read_text()
        digest = hashlib.sha256(data).hexdigest()
        packages.append(f"{control}Filename: pool/{name}.deb\nSize: {len(data)}\nSHA256: {digest}\n")
    index = root / "dists/forky/main/binary-amd64/Packages.gz"
    index.parent.mkdir(parents=True)
    index.write_bytes(gzip.compress("\n".join(packages).encode()))
    listed = f" {hashlib.sha256(index.read_bytes()).hexdigest()} {index.stat().st_size} main/binary-amd64/Packages.gz"
    plain = gzip.decompress(index.read_bytes())
    listed += f"\n {hashlib.sha256(plain).hexdigest()} {len(plain)} main/binary-amd64/Packages"
    release = root / "dists/forky/Release"
    release.write_text(
        "Origin: Debian\nLabel: Debian\nSuite: testing\nCodename: forky\nArchitectures: amd64\nComponents: main\n"
        f"{dates}\nSHA256:\n{listed}\n"
    )
    home = scratch / "gpg"
    home.mkdir(mode=0o700)
    gpg = ["gpg", "--homedir", str(home), "--batch", "--yes", "--passphrase", "", "--pinentry-mode", "loopback"]
    subprocess.run([*gpg, "--quick-gen-key", "a test", "rsa3072", "sign"], check=True, capture_output=True)
    subprocess.run([*gpg, "--clearsign", "--output", release.with_name("InRelease"), release], check=True)
    keyring = scratch / "keyring.gpg"
    subprocess.run([*gpg, "--export", "--output", keyring], check=True)
    keyring.chmod(0o644)
    subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=False)
    return keyring


# --- whether it runs -------------------------------------------------------------------------------------


def console_of(tmp_path: Path, text: str) -> Kernel:
    path = program(tmp_path / "linux", f"cat <<'CONSOLE'\n{text}\nCONSOLE")
    return Kernel(path, tmp_path, RELEASE, "for a test")


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "init").touch()
    monkeypatch.setattr(choice, "ROOT", tmp_path / "root")


def test_a_kernel_whose_user_space_speaks_is_good(compiled: None, tmp_path: Path) -> None:
    check_boot(console_of(tmp_path, "Linux\ntidemark: user space runs\nreboot: Power down"))


@pytest.mark.parametrize(
    ("console", "said"),
    [
        (
            "userspace - ptrace set fp regs failed, errno = 14\nKernel panic - not syncing: Attempted to kill init!",
            "userspace - ptrace set fp regs failed, errno = 14; kernels before 6.13 can't run on a processor with AMX",
        ),
        (
            "Kernel panic - not syncing: VFS: Unable to mount root fs\n [<6000>] mount_root",
            "Kernel panic - not syncing: VFS: Unable to mount root fs; name another kernel with TIDEMARK_KERNEL",
        ),
        ("Checking PROT_EXEC mmap in /dev/shm...Operation not permitted", "Checking PROT_EXEC mmap in /dev/shm"),
        ("", "no word from it"),
    ],
)
def test_a_kernel_that_does_not_run_is_quoted(compiled: None, tmp_path: Path, console: str, said: str) -> None:
    with pytest.raises(LabError) as fault:
        check_boot(console_of(tmp_path, console))
    assert f"Linux 7.2.7, for a test does not run on this machine: {said}" in str(fault.value)


def test_a_kernel_that_hangs_is_ended(compiled: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "TIMEOUT_SECONDS", 0.3)
    kernel = Kernel(program(tmp_path / "linux", "exec sleep 77"), tmp_path, RELEASE, "for a test")
    with pytest.raises(LabError, match=r"no word from it within 0\.3 s"):
        check_boot(kernel)
