"""Reads the passphrase, which goes nowhere but to a program's standard input."""

from __future__ import annotations

import getpass
import os
import secrets
import stat
import sys
from pathlib import Path

from workloads.errors import WorkloadError
from workloads.paths import user_path

# The most that cryptsetup accepts at its prompt (cryptsetup(8), "Notes on passphrase processing"): a person must be
# able to open the volume by hand.
LONGEST_BYTES = 512


class Passphrase:
    """Bytes that no message, record or argument list holds: only `for_stdin` gives them."""

    __slots__ = ("_content",)

    def __init__(self, content: bytes) -> None:
        self._content = content

    def __repr__(self) -> str:
        return "Passphrase(…)"

    def __reduce__(self) -> str:
        raise TypeError("a passphrase is not to be written anywhere")

    def for_stdin(self) -> bytes:
        """Returns the bytes, for the standard input of the program that opens the volume."""
        return self._content

    @property
    def is_one_line(self) -> bool:
        """Whether a person can type it at a prompt."""
        return b"\n" not in self._content and b"\0" not in self._content


def checked(content: bytes, source: str) -> Passphrase:
    """Returns the passphrase. Raises WorkloadError, without showing it, when it could not be typed in a recovery."""
    if not content:
        raise WorkloadError(f"the passphrase from {source} is empty", "give one of at least one byte")
    if len(content) > LONGEST_BYTES:
        raise WorkloadError(
            f"the passphrase from {source} has {len(content)} bytes", f"{LONGEST_BYTES} are the most that can be typed"
        )
    return Passphrase(content)


def read(*, fd: str | None, key_file: str | None, again: bool = False) -> Passphrase:
    """Reads the passphrase from an open file descriptor or a key file, else at a prompt; `again` asks twice, for a new
    volume. Of a descriptor it takes the first line, without its end; of a key file every byte, as cryptsetup does.

    Raises WorkloadError.
    """
    if fd is not None and key_file is not None:
        raise WorkloadError("--passphrase-fd and --key-file are both given", "give one of them")
    if fd is not None:
        return checked(_from_descriptor(fd), f"descriptor {fd}")
    if key_file is not None:
        return checked(_from_file(user_path(key_file)), key_file)
    if not (sys.stdin and sys.stdin.isatty()):  # None where it is closed (<&-)
        raise WorkloadError("no passphrase: this is no terminal to ask at", "give --passphrase-fd N or --key-file FILE")
    first = getpass.getpass("Passphrase of the backup volume: ")
    if again and getpass.getpass("The same again: ") != first:
        raise WorkloadError("the two passphrases differ", "run the task again")
    return checked(os.fsencode(first), "the prompt")


def generate() -> Passphrase:
    """Returns a new passphrase of 128 bits, for a rehearsal's volume, which nobody opens after the run."""
    return Passphrase(secrets.token_hex(16).encode())


def _from_descriptor(text: str) -> bytes:
    try:
        number = int(text)
        with os.fdopen(os.dup(number), "rb") as file:
            return file.readline(LONGEST_BYTES + 3).rstrip(b"\n").removesuffix(b"\r")
    except (ValueError, OverflowError, OSError) as error:
        raise WorkloadError(
            f"--passphrase-fd {text} cannot be read",
            "give the number of a descriptor that is open: --passphrase-fd 3 3<FILE",
        ) from error


def _from_file(path: Path) -> bytes:
    try:
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise WorkloadError(f"others may read {path}", f"run chmod 600 {path}")
        with path.open("rb") as file:
            return file.read(LONGEST_BYTES + 1)
    except OSError as error:
        raise WorkloadError(f"{path} cannot be read ({error.strerror})", "give --key-file a file of yours") from error
