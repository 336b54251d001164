"""The recovery sheet: a page for a person with a blank machine, whose commands the drill reads and executes.

The drill executes the page's commands and nothing else, so it fails when the page is wrong.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from workloads.encrypted_backup.context import Context
from workloads.errors import WorkloadError
from workloads.iscsi import ISCSI_PORT
from workloads.iscsi_tunnel import endpoints
from workloads.iscsi_tunnel.endpoints import MTU_MAX, TUNNEL_USER, merged_facts
from workloads.results import utc_now

TEMPLATE = Path(__file__).parent / "recovery_sheet.md"
_FIELD = re.compile(r"@([A-Z_]+)@")
_BLOCK = re.compile(r"^```sh(?: (?P<where>\w+))?\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


_NAME = r"[A-Za-z0-9][\w.:-]*"
_ADDRESS = r"[0-9]{1,3}(\.[0-9]{1,3}){3}"
_WORDS = {
    "stack": r"[\w./-]+",
    "host_keys": r"[A-Za-z0-9@.-]+ [A-Za-z0-9+/]+=*( [^\n]*)?",
    "user": r"[a-z_][a-z0-9_-]*",
    "server_tun": r"[0-9]{1,5}",
    "server_address": _ADDRESS,
    "client_address": _ADDRESS,
    "device": r"/dev/[\w./:+-]+",
}
"""What facts on the page may be; any other is a name. Each is one word of a command: the page is typed as root."""


def fingerprint(host_key: str) -> str:
    """Returns a key's fingerprint as ssh shows it: SHA256, base64 without padding."""
    kind, key = host_key.split()[:2]
    digest = hashlib.sha256(base64.b64decode(key)).digest()
    return f"{kind} SHA256:{base64.b64encode(digest).decode().rstrip('=')}"


def page_of(context: Context, sources: Sequence[str]) -> str:
    """Returns the page, whose facts are from the inventory and from the server, which must have been attached once.

    `sources` are the directories of the newest snapshot.
    """
    server, volume = context.server_host, context.volume
    seen = merged_facts(context.server.run(endpoints.script("server_look")))
    if not seen.get("tun") or seen.get("size_bytes") is None:
        raise WorkloadError(
            "no client has ever attached the volume", "run `fab encrypted-backup.run` first", server.name
        )
    facts: dict[str, object] = {
        "stack": context.inventory.stack,
        "region": context.inventory.region,
        "instance": server.id,
        "server_name": server.name,
        "volume": volume.id,
        "size_gib": volume.size_gib,
        "size_bytes": seen["size_bytes"],
        "user": TUNNEL_USER,
        "server_tun": seen["tun"],
        "server_address": seen.get("local", ""),
        "client_address": seen.get("remote", ""),
        "iqn": context.iqn,
        "initiator": context.initiator(context.client_name),
        "port": ISCSI_PORT,
        "mtu_bytes": MTU_MAX,
        "device": context.device,
    }
    words = {name: str(value) for name, value in facts.items()}
    return rendered(words, context.hosts.keys_of(server.name), sources)


def rendered(facts: Mapping[str, str], host_keys: Sequence[str], sources: Sequence[str]) -> str:
    """Returns the template with every field filled in: a field is a fact's name in capitals, or made here.

    Raises WorkloadError for a fact that is more than one word of a command.
    """
    for name, value in [*facts.items(), *(("host_keys", key) for key in host_keys)]:
        if not re.fullmatch(_WORDS.get(name, _NAME), value, re.ASCII):
            raise WorkloadError(
                f"the sheet can't name {name} {value!r}", "see that server and inventory are those that were deployed"
            )
    values = {
        **facts,
        "made": utc_now(),
        "fingerprints": "<br>".join(f"`{fingerprint(key)}`" for key in host_keys),
        "known_hosts": "\n".join(f"{facts['instance']} {' '.join(key.split()[:2])}" for key in host_keys),
        "sources": ", ".join(f"`{_shown(source)}`" for source in sources) or "what step 7 lists",
    }
    return _FIELD.sub(lambda found: values[found[1].lower()], TEMPLATE.read_text(encoding="utf-8"))


def _shown(name: str) -> str:
    """Returns a name that can neither end a table's cell nor begin a code block."""
    return "".join(each if each.isprintable() and each not in "`|@" else "?" for each in name)


def commands(page: str, where: str | None = None) -> list[str]:
    """Returns the blocks to type, in order: at the blank machine, or as root on the server (`where` is "server")."""
    return [found["text"] for found in _BLOCK.finditer(page) if found["where"] == where]
