"""The root image's name follows its recipe."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lab.cache import KEPT
from lab.errors import LabError
from lab.image import build
from lab.kernel.choice import Kernel
from lab.paths import PROJECT
from lab.process import run
from tests.machine import processes_with, wait_for

RELEASE = "7.2.7"
KERNEL = Kernel(Path("/nonexistent/linux"), Path("/nonexistent/modules"), RELEASE, "for a test")


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the recipe that a test may change."""
    copy = tmp_path / "image"
    shutil.copytree(build.HERE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(build, "HERE", copy)
    monkeypatch.setattr(build, "__file__", str(copy / "build.py"))
    return copy


def test_the_digest_is_the_same_for_the_same_recipe(recipe: Path) -> None:
    first = build.recipe_digest(RELEASE)
    (recipe / "packages.txt").touch()
    assert build.recipe_digest(RELEASE) == first
    assert len(first) == 16


def test_every_file_of_the_recipe_counts(recipe: Path) -> None:
    seen = {build.recipe_digest(RELEASE)}
    files = sorted(path for path in recipe.rglob("*") if path.is_file() and path.name != "__init__.py")
    assert len(files) >= 7
    for path in files:
        before = path.read_bytes()
        path.write_bytes(before + b"\n# changed\n")
        seen.add(build.recipe_digest(RELEASE))
        path.write_bytes(before)
    assert len(seen) == 1 + len(files)


def test_a_file_added_taken_away_or_renamed_and_another_kernel_count(recipe: Path) -> None:
    seen = [build.recipe_digest(RELEASE), build.recipe_digest("7.2.8")]
    added = recipe / "overlay" / "etc" / "motd"
    added.write_text("hello")
    seen.append(build.recipe_digest(RELEASE))
    added.rename(added.with_name("issue"))
    seen.append(build.recipe_digest(RELEASE))
    shutil.rmtree(recipe / "overlay" / "usr")
    seen.append(build.recipe_digest(RELEASE))
    assert len(set(seen)) == 5


def test_a_file_that_is_no_longer_executable_counts_where_the_image_would_differ(recipe: Path) -> None:
    """customize.sh is run and sets the modes of what it installs, so modes need not be in the digest."""
    text = (recipe / "customize.sh").read_text()
    scripts = [path.name for path in (recipe / "overlay" / "usr" / "local" / "sbin").iterdir()]
    for name in scripts:
        assert f"/usr/local/sbin/{name}" in text.split("chmod 755", 1)[1].splitlines()[0]


def test_packages_are_named_once_each_without_comments() -> None:
    found = build.packages()
    assert len(found) == len(set(found)) > 10
    assert all(name and not name.startswith("#") and " " not in name for name in found)


def fake_build(image: Path, _: Path) -> None:
    image.write_bytes(b"image")


def test_an_image_is_built_once_and_reused(recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(build, "_build", fake_build)
    said: list[str] = []
    first = build.ensure_image(KERNEL, said.append)
    assert build.ensure_image(KERNEL, said.append) == first
    assert [line.split()[2] for line in said] == ["building", "built,", "reused"]
    (recipe / "packages.txt").write_text("systemd\n")
    assert build.ensure_image(KERNEL, said.append) != first


def test_old_images_and_half_built_ones_are_forgotten(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(build, "_build", fake_build)
    for number in range(4):
        (recipe / "packages.txt").write_text(f"package-{number}\n")
        (tmp_path / "cache" / "tidemark" / "images" / "tidemark-image-killed").mkdir(parents=True, exist_ok=True)
        newest = build.ensure_image(KERNEL, lambda _: None)
    left = sorted((tmp_path / "cache" / "tidemark" / "images").iterdir())
    assert newest in left
    assert len([path for path in left if path.suffix == ".ext4"]) == KEPT
    assert not [path for path in left if path.is_dir()]


def test_a_build_that_fails_leaves_no_image(recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "mmdebstrap").write_text("#!/bin/sh\necho 'E: no mirror' >&2\nexit 100\n")
    (tools / "mmdebstrap").chmod(0o755)
    monkeypatch.setenv("PATH", str(tools), prepend=":")
    with pytest.raises(LabError, match=r"^mmdebstrap .*: exit code 100: E: no mirror \(all of it: .*build\.log\)$"):
        build.ensure_image(KERNEL, lambda _: None)
    images = tmp_path / "cache" / "tidemark" / "images"
    assert sorted(path.name for path in images.iterdir()) == ["build.log", "lock"]


# --- commands on this machine ----------------------------------------------------------------------------


def test_a_command_gives_what_it_prints() -> None:
    assert run(["cat"], stdin="x\n") == "x\n"


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["no-such-command"], r"^no-such-command: no such command on this machine; `make setup` installs it$"),
        (["sh", "-c", "echo a >&2; echo b >&2; exit 3"], r"^sh -c .*: exit code 3: b$"),
        (["sh", "-c", "echo out; exit 3"], r": exit code 3: out$"),
        (["false"], r"^false: exit code 1: it printed nothing$"),
    ],
)
def test_a_command_that_fails_is_one_line(command: list[str], said: str) -> None:
    with pytest.raises(LabError, match=said):
        run(command)


def test_a_command_that_does_not_end_is_ended() -> None:
    with pytest.raises(LabError, match=r"^sleep 60: no end after 0 s$"):
        run(["sleep", "60"], timeout_seconds=0.1)


def test_a_contained_command_leaves_neither_process_nor_mount(tmp_path: Path) -> None:
    """As mmdebstrap does while it builds: mounts in the new system, and processes that go on by themselves."""
    if os.geteuid() != 0:
        pytest.skip("not root: a mount namespace takes it")
    mounted = tmp_path / "mounted"
    mounted.mkdir()
    mark = f"73.{os.getpid()}"
    script = f"mount -t tmpfs tmpfs {mounted} && touch {mounted}/there && (setsid sleep {mark} &) && sleep {mark}"
    assert sleeping(mark) == 0
    with pytest.raises(LabError, match="no end after"):
        run(["sh", "-c", script], timeout_seconds=1.5, contained=True)
    assert sleeping(mark) == 0
    assert list(mounted.iterdir()) == []
    assert str(mounted) not in Path("/proc/self/mountinfo").read_text()


def test_a_contained_command_ends_with_the_process_that_started_it() -> None:
    if os.geteuid() != 0:
        pytest.skip("not root: a mount namespace takes it")
    mark = f"74.{os.getpid()}"
    program = f"from lab.process import run; run(['sh', '-c', 'sleep {mark} & sleep {mark}'], contained=True)"
    starter = subprocess.Popen([sys.executable, "-c", program], cwd=PROJECT)
    wait_for("it has begun", lambda: sleeping(mark) == 2, 120)
    starter.kill()
    starter.wait()
    wait_for("it has ended", lambda: sleeping(mark) == 0, 120)


def sleeping(mark: str) -> int:
    """How many processes of this machine are `sleep MARK`."""
    return len(processes_with("sleep", mark))
