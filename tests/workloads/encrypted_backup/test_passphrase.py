"""Where a passphrase comes from, what is refused, and that it is shown nowhere."""

from __future__ import annotations

import os
import pickle
from collections.abc import Iterator
from pathlib import Path

import pytest

from workloads.encrypted_backup import passphrase
from workloads.errors import WorkloadError

SECRET = "correct horse battery staple"


@pytest.fixture
def descriptor() -> Iterator[int]:
    """The reading end of a pipe that holds a line and more."""
    reading, writing = os.pipe()
    os.write(writing, f"{SECRET}\nand another line\n".encode())
    os.close(writing)
    yield reading
    os.close(reading)


def key_file(folder: Path, content: bytes, mode: int = 0o600) -> Path:
    path = folder / "key"
    path.write_bytes(content)
    path.chmod(mode)
    return path


def test_a_descriptor_gives_its_first_line(descriptor: int) -> None:
    assert passphrase.read(fd=str(descriptor), key_file=None).for_stdin() == SECRET.encode()


def test_a_key_file_gives_every_byte(tmp_path: Path) -> None:
    path = key_file(tmp_path, b"a\0b\n")
    found = passphrase.read(fd=None, key_file=str(path))
    assert found.for_stdin() == b"a\0b\n"
    assert not found.is_one_line


def test_a_prompt_asks_twice_for_a_new_volume(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([SECRET, "correct house"])
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("getpass.getpass", lambda _: next(answers))
    with pytest.raises(WorkloadError, match="the two passphrases differ"):
        passphrase.read(fd=None, key_file=None, again=True)


def test_nothing_shows_it(tmp_path: Path) -> None:
    found = passphrase.checked(SECRET.encode(), "a test")
    assert SECRET not in f"{found} {found!r} {[found]}"
    with pytest.raises(TypeError):
        pickle.dumps(found)


def test_made_up_ones_differ_and_can_be_typed() -> None:
    one, other = passphrase.generate(), passphrase.generate()
    assert one.for_stdin() != other.for_stdin()
    assert one.is_one_line


@pytest.mark.parametrize("content", [b"", b"x" * 513])
def test_what_could_not_be_typed_is_refused_without_being_shown(content: bytes, tmp_path: Path) -> None:
    path = key_file(tmp_path, content)
    with pytest.raises(WorkloadError) as fault:
        passphrase.read(fd=None, key_file=str(path))
    assert "xxx" not in str(fault.value)
    assert str(path) in str(fault.value)


def test_a_key_file_that_others_may_read_is_refused(tmp_path: Path) -> None:
    path = key_file(tmp_path, b"secret", 0o644)
    with pytest.raises(WorkloadError, match=f"others may read {path}; run chmod 600"):
        passphrase.read(fd=None, key_file=str(path))


@pytest.mark.parametrize(
    ("fd", "file", "expected"),
    [
        ("3", "key", "both given"),
        ("9999", None, "--passphrase-fd 9999 cannot be read"),
        ("three", None, "--passphrase-fd three cannot be read"),
        ("9" * 40, None, f"--passphrase-fd {'9' * 40} cannot be read"),
        (None, "/nowhere/key", "/nowhere/key cannot be read"),
        (None, None, "no passphrase: this is no terminal"),
    ],
)
def test_other_faults(fd: str | None, file: str | None, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: False)
    with pytest.raises(WorkloadError, match=expected):
        passphrase.read(fd=fd, key_file=file)
