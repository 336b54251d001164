"""What a backup takes and what it leaves out: by patterns that mean the same to rsync, and by type of file system."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workloads.encrypted_backup.backup import Sources
from workloads.encrypted_backup.scripts import selection
from workloads.encrypted_backup.scripts.selection import Refused, Selection, selected
from workloads.errors import WorkloadError

NAMES = st.text(alphabet="ab.-+! #\u00fc'", min_size=1, max_size=3).filter(lambda name: name not in (".", ".."))
WILD = st.text(alphabet="ab.-+! #\u00fc'*?]", min_size=1, max_size=3).filter(
    lambda name: name not in (".", "..") and "**" not in name
)
OWN = b"/nowhere/own"


def fails(path: bytes, error: OSError) -> None:
    raise error


def below(top: Path, found: Selection) -> set[bytes]:
    """What a selection takes below a folder."""
    start = os.fsencode(top).lstrip(b"/")
    return {path.removeprefix(start) for path in found.walk(fails) if path.startswith(start + b"/")}


@st.composite
def pattern(draw: st.DrawFn) -> str:
    middle = "/".join(draw(st.lists(WILD, min_size=1, max_size=3)))
    return draw(st.sampled_from(["", "/"])) + middle + draw(st.sampled_from(["", "/"]))


@pytest.mark.skipif(shutil.which("rsync") is None, reason="compared with rsync")
@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.lists(NAMES, min_size=1, max_size=3), min_size=1, max_size=8),
    st.lists(pattern(), min_size=1, max_size=3),
)
def test_patterns_mean_to_rsync_what_they_mean_here(
    tmp_path_factory: pytest.TempPathFactory, files: list[list[str]], patterns: list[str]
) -> None:
    top = tmp_path_factory.mktemp("tree") / "source"
    for names in files:
        folder = top.joinpath(*names[:-1])
        if not any(each.is_file() for each in [folder, *folder.parents]):
            folder.mkdir(parents=True, exist_ok=True)
            if not (folder / names[-1]).exists():
                (folder / names[-1]).touch()
    top.mkdir(exist_ok=True)
    # A path from the root means one in the tree here.
    patterns = [f"{top}{each}" if each.startswith("/") else each for each in Sources([], patterns).exclude]
    try:
        found = selected(OWN, [os.fsencode(top)], [os.fsencode(each) for each in patterns])
    except Refused:
        assert any(selection.compiled(os.fsencode(each)).fullmatch(os.fsencode(top).lstrip(b"/")) for each in patterns)
        return
    copied = top.with_name("copy")
    copied.mkdir()
    rules = [b"--filter=" + rule for rule in found.rules()]
    subprocess.run([b"rsync", b"-r", b"--relative", *rules, b"--", found.sources[0], copied], check=True)
    there = {os.fsencode(path)[len(os.fsencode(copied)) :] for path in copied.rglob("*")}
    start = os.fsencode(top)
    assert below(top, found) == {path.removeprefix(start) for path in there if path.startswith(start + b"/")}


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        ([], {"cache", "cache/x", "home", "home/cache", "home/cache/x", "home/c", "home/a[b", "home/a[b/x"}),
        (["cache"], {"home", "home/c", "home/a[b", "home/a[b/x"}),
        (["/cache"], {"home", "home/cache", "home/cache/x", "home/c", "home/a[b", "home/a[b/x"}),
        (["c/", "home/c*"], {"cache", "cache/x", "home", "home/a[b", "home/a[b/x"}),
        (["?", "*b/"], {"cache", "home", "home/cache"}),
    ],
)
def test_patterns(patterns: Sequence[str], expected: set[str], tmp_path: Path) -> None:
    for name in ("cache/x", "home/cache/x", "home/c", "home/a[b/x"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    there = [f"{tmp_path}{each}" if each.startswith("/") else each for each in Sources([], patterns).exclude]
    found = selected(OWN, [os.fsencode(tmp_path)], [os.fsencode(each) for each in there])
    assert {os.fsdecode(path).lstrip("/") for path in below(tmp_path, found)} == expected


@pytest.mark.parametrize(
    "wrong", ["", "/", "//", "a//b", "./a", "a/..", "a[b]", "**", "a/**", "back\\slash", "\0", "a//"]
)
def test_what_is_no_pattern_is_one_line(wrong: str) -> None:
    with pytest.raises(WorkloadError, match=r"--exclude .* is no pattern; give a name such as \.cache"):
        Sources(["/"], ["fine", wrong])


def test_a_source_that_is_left_out_itself_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="is left out itself by an --exclude"):
        selected(OWN, [os.fsencode(tmp_path)], [os.fsencode(tmp_path.name)])


@pytest.mark.parametrize("source", ["/proc", "/proc/self", "/sys/kernel"])
def test_what_has_no_files_is_no_source(source: str) -> None:
    with pytest.raises(Refused, match=f"{source} is in (proc|sysfs), which has no files"):
        selected(OWN, [source.encode()], [])


def test_a_source_that_is_the_root_has_no_pseudo_file_systems() -> None:
    found = selected(OWN, [b"/"], [])
    assert {b"/proc", b"/sys"} <= set(found.mounts)
    # What is in them, not the folders themselves: a system that is restored needs those.
    assert {b"- /proc/*", b"- /sys/*"} <= set(found.rules())
    assert not found.leaves_out(b"proc", is_folder=True)


IN_A_NAMESPACE = """
set -e
# A folder of a disk: this test's own may be in memory, as /tmp is on Debian 13.
mount --bind "$PWD/claims" "$1/files"
mount -t tmpfs none "$1/in memory"
mount -t tmpfs none "$1/hidden"
mount --bind "$1/files" "$1/hidden"
mkdir "$1/in memory/disk" "$1/in memory/more"
mount --bind "$1/files" "$1/in memory/disk"
mount -t tmpfs none "$1/in memory/more"
mount -t proc none "$1/deep/p[r]*c"
touch "$1/deep/file"
mount --bind /proc/version "$1/deep/file"
exec "$2" -m tests.workloads.encrypted_backup.rules_of "$1" "$1/in memory"
"""


@pytest.mark.skipif(
    os.geteuid() != 0 or subprocess.run(["unshare", "--mount", "--", "true"], check=False).returncode != 0,
    reason="mounts take root with CAP_SYS_ADMIN",
)
def test_mounts_are_known_by_their_type_and_not_by_their_place(tmp_path: Path) -> None:
    """One that another is mounted over does not count; one in memory is taken where it is a source itself."""
    for name in ("in memory", "hidden", "files", "deep/p[r]*c"):
        (tmp_path / name).mkdir(parents=True)
    words = ["unshare", "--mount", "--", "bash", "-c", IN_A_NAMESPACE, "bash", str(tmp_path), sys.executable]
    said = subprocess.run(words, check=True, capture_output=True, text=True).stdout.splitlines()
    assert said == [
        f"- {tmp_path}/deep/file",
        rf"- {tmp_path}/deep/p\[r]\*c/*",
        f"- {tmp_path}/in memory/*",
        f"- {tmp_path}/in memory/disk/*",
        "of the second: 1",
    ]
