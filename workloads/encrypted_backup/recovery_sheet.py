"""The recovery sheet: a page for a person with a blank machine, whose commands the drill reads and executes.

The drill executes the page's commands and nothing else, so it fails when the page is wrong.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from workloads.errors import WorkloadError
from workloads.results import utc_now

TEMPLATE = Path(__file__).parent / "recovery_sheet.md"
_FIELD = re.compile(r"@([A-Z_]+)@")
_BLOCK = re.compile(r"^```sh(?: (?P<where>\w+))?\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Facts:
    """The facts on the page. `host_keys` are the pinned keys, `sources` the directories of the newest snapshot."""

    stack: str
    region: str
    instance: str
    server_name: str
    volume: str
    size_gib: int
    size_bytes: int
    host_keys: Sequence[str]
    sources: Sequence[str]
    user: str
    server_tun: str
    server_address: str
    client_address: str
    iqn: str
    initiator: str
    port: int
    mtu_bytes: int
    device: str

    def __post_init__(self) -> None:
        """Refuses values that are more than one word of a command: the page's commands are typed as root."""
        for name, pattern in _WORDS.items():
            found = getattr(self, name)
            for value in [found] if isinstance(found, str) else found:
                if not re.fullmatch(pattern, value, re.ASCII):
                    raise WorkloadError(
                        f"the sheet can't name {name} {value!r}",
                        "see that server and inventory are those that were deployed",
                    )


_NAME = r"[A-Za-z0-9][\w.:-]*"
_ADDRESS = r"[0-9]{1,3}(\.[0-9]{1,3}){3}"
_WORDS = {
    "stack": r"[\w./-]+",
    "region": _NAME,
    "instance": _NAME,
    "server_name": _NAME,
    "volume": _NAME,
    "host_keys": r"[A-Za-z0-9@.-]+ [A-Za-z0-9+/]+=*( [^\n]*)?",
    "user": r"[a-z_][a-z0-9_-]*",
    "server_tun": r"[0-9]{1,5}",
    "server_address": _ADDRESS,
    "client_address": _ADDRESS,
    "iqn": _NAME,
    "initiator": _NAME,
    "device": r"/dev/[\w./:+-]+",
}


def fingerprint(host_key: str) -> str:
    """Returns a key's fingerprint as ssh shows it: SHA256, base64 without padding."""
    kind, key = host_key.split()[:2]
    digest = hashlib.sha256(base64.b64decode(key)).digest()
    return f"{kind} SHA256:{base64.b64encode(digest).decode().rstrip('=')}"


def rendered(facts: Facts) -> str:
    """Returns the page: the template with every field filled in; a field is a fact's name in capitals, or made here."""
    values = {
        **{name: str(value) for name, value in vars(facts).items()},
        "made": utc_now(),
        "fingerprints": "<br>".join(f"`{fingerprint(key)}`" for key in facts.host_keys),
        "known_hosts": "\n".join(f"{facts.instance} {' '.join(key.split()[:2])}" for key in facts.host_keys),
        "sources": ", ".join(f"`{_shown(source)}`" for source in facts.sources) or "what step 7 lists",
    }
    return _FIELD.sub(lambda found: values[found[1].lower()], TEMPLATE.read_text(encoding="utf-8"))


def _shown(name: str) -> str:
    """Returns a name that can neither end a table's cell nor begin a code block."""
    return "".join(each if each.isprintable() and each not in "`|@" else "?" for each in name)


def commands(page: str, where: str | None = None) -> list[str]:
    """Returns the blocks to type, in order: at the blank machine, or as root on the server (`where` is "server")."""
    return [found["text"] for found in _BLOCK.finditer(page) if found["where"] == where]
