"""Reads the public half of the user's SSH key pair. Nothing here opens the private half."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from components.settings import Settings
from documents import read_text
from inventory.checks import HOST_KEY, host_key_fault

KEY = "tidemark:sshPublicKeyFile"
_DEFAULT = "~/.ssh/id_ed25519.pub"
_TYPES = ("ssh-ed25519", "ssh-rsa")  # what EC2 takes for a Linux key pair (API reference, ImportKeyPair)


@dataclass(frozen=True)
class PublicKey:
    """`text` is type and key, without the comment (often a name); `identity_file` is the private half's path."""

    text: str
    identity_file: str


def read_public_key(settings: Settings, directory: Path) -> PublicKey:
    """Reads the file that sshPublicKeyFile names, relative to `directory` (the project's)."""
    name = settings.optional_text(KEY) or _DEFAULT
    placeholder = PublicKey("", name.removesuffix(".pub"))
    if not settings.is_valid(KEY):
        return placeholder
    if not name.endswith(".pub"):
        # The name decides, so that a private key is never read, not even by mistake.
        settings.add_error(KEY, f"{name} does not end in .pub", "name the public half of the key pair")
        return placeholder
    try:
        text = read_text(directory / Path(name).expanduser())
    except RuntimeError:
        settings.add_error(KEY, f"{name} names a user who is not known here", "give the path of the file")
        return placeholder
    except OSError as error:
        private = name.removesuffix(".pub")
        settings.add_error(
            KEY,
            f"{name} cannot be read ({(error.strerror or 'unknown').lower()})",
            f"make a key pair: ssh-keygen -t ed25519 -N '' -f {private}",
        )
        return placeholder
    except UnicodeDecodeError:
        settings.add_error(KEY, f"{name} is not a public key", "expected one line: ssh-ed25519 AAAA…")
        return placeholder
    except ValueError:  # a NUL, which no path has
        settings.add_error(KEY, f"{name!r} cannot be a path", "give the path of the file")
        return placeholder
    fault = _fault(text)
    if fault is not None:
        settings.add_error(KEY, f"{name} {fault}", "expected one line: ssh-ed25519 AAAA… or ssh-rsa AAAA…")
        return placeholder
    return PublicKey(" ".join(text.split()[:2]), name.removesuffix(".pub"))


def _fault(text: str) -> str | None:
    """Returns what is wrong with a public key file, without quoting its text; None if it is fine."""
    if "PRIVATE KEY" in text:
        return "holds a private key"
    lines = [line for line in text.splitlines() if line.strip()]
    words = lines[0].split() if lines else []
    if len(lines) != 1 or len(words) < 2:
        return "is not a public key"
    if words[0] not in _TYPES:
        return f"is of a type that EC2 does not take ({words[0][:40]})" if words[0].isprintable() else "is no key"
    key = " ".join(words[:2])
    if not HOST_KEY.fullmatch(key):
        return "is not a public key"
    return "is a public key that was cut or changed" if host_key_fault(key) else None
