"""What root makes belongs to whoever called sudo."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lab import paths
from lab.paths import chown_all_to_sudo_caller, chown_to_sudo_caller

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="not root: nothing can be given to another user")
USER = GROUP = 65534


@pytest.fixture
def sudo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUDO_UID", str(USER))
    monkeypatch.setenv("SUDO_GID", str(GROUP))


def owner(path: Path) -> int:
    return path.lstat().st_uid


def test_what_is_roots_below_a_folder_is_given_and_what_leads_elsewhere_is_not(sudo: None, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "file").touch()
    place = tmp_path / "place"
    (place / "folder").mkdir(parents=True)
    (place / "folder" / "file").touch()
    (place / "link").symlink_to(elsewhere)
    (place / "second-name").hardlink_to(elsewhere / "file")
    (place / "others").touch()
    os.chown(place / "others", 1234, 1234)
    chown_to_sudo_caller(place)
    assert [owner(each) for each in (place, place / "folder", place / "folder" / "file", place / "link")] == [USER] * 4
    assert [owner(each) for each in (elsewhere, elsewhere / "file")] == [0, 0]
    assert owner(place / "others") == 1234


@pytest.mark.parametrize("variables", [{}, {"SUDO_UID": "0", "SUDO_GID": "0"}, {"SUDO_UID": "me", "SUDO_GID": "me"}])
def test_without_sudo_nothing_changes_hands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]
) -> None:
    for name in ("SUDO_UID", "SUDO_GID"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "file").touch()
    chown_to_sudo_caller(tmp_path)
    chown_all_to_sudo_caller()
    assert owner(tmp_path / "file") == 0


def test_only_what_lies_in_the_callers_hands_is_given(
    sudo: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkout, cache = tmp_path / "checkout", tmp_path / "root" / "cache"
    for folder in (checkout / "results", checkout / "__pycache__", cache / "images"):
        folder.mkdir(parents=True)
    os.chown(checkout, USER, GROUP)
    monkeypatch.setattr(paths, "PROJECT", checkout)
    monkeypatch.setattr(paths, "cache_dir", lambda: cache)
    monkeypatch.setenv("TIDEMARK_LAB_DIR", str(checkout / ".lab"))
    for name in ("TIDEMARK_RESULTS_DIR", "TIDEMARK_STATE_DIR"):
        monkeypatch.delenv(name, raising=False)
    chown_all_to_sudo_caller()
    assert [owner(checkout / name) for name in ("results", "__pycache__")] == [USER, USER]
    assert owner(cache / "images") == 0, "root's own cache stays root's"
