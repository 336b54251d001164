"""Checks of single texts of an inventory: host keys, addresses, networks, URLs, commands. They need no host."""

from __future__ import annotations

import base64
import ipaddress
import re
import shlex

from documents import Because

# RFC 1123, 2.1. A name whose last label is a number is read as an address by some programs (inet_aton(3)).
_LABEL = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_HOST_NAME = re.compile(rf"({_LABEL}\.)*(?!(0[xX][0-9A-Fa-f]*|[0-9]+)\.?$){_LABEL}\.?")
_HOST_NAME_CHARACTERS = 253
HOST_KEY = re.compile(r"(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(256|384|521)) [A-Za-z0-9+/]+={0,2}")
_URL = re.compile(r"https?://(?P<host>[A-Za-z0-9.-]+)(:(?P<port>[0-9]{1,5}))?/?")
# RFC 8709, 4; RFC 5656, 3.1: the length of a public key in bytes. OpenSSH refuses an RSA key (RFC 4253, 6.6) with a
# shorter modulus than this (ssh_config(5), RequiredRSASize).
_KEY_BYTES = {
    "ssh-ed25519": 32,
    "ecdsa-sha2-nistp256": 65,
    "ecdsa-sha2-nistp384": 97,
    "ecdsa-sha2-nistp521": 133,
}
_RSA_LEAST_BYTES = 1024 // 8


def host_key_fault(text: str) -> str | None:
    """Returns what is wrong with a host key as known_hosts has it, without the host, in words that complete a sentence;
    None for a whole key. A terminal or a console may have cut it: the key itself has its length.
    """
    if not HOST_KEY.fullmatch(text):
        return ", of a type and a key"
    kind, encoded = text.split()
    try:
        parts = _ssh_strings(base64.b64decode(encoded, validate=True))
    except ValueError:
        return ", and whole: its end is missing"
    if not parts or parts[0] != kind.encode():
        return f": {kind} stands before a key of another type"
    if kind == "ssh-rsa":
        whole = len(parts) == 3 and len(parts[1]) > 0 and len(parts[2].lstrip(b"\0")) >= _RSA_LEAST_BYTES
    else:
        whole = len(parts) == (2 if kind == "ssh-ed25519" else 3) and len(parts[-1]) == _KEY_BYTES[kind]
    return None if whole else f", and whole: its length is not that of {kind}"


def _ssh_strings(blob: bytes) -> list[bytes]:
    """Returns a public key's strings (RFC 4251, 5), each behind its length. Raises ValueError if the last is cut."""
    found = []
    while blob:
        length = int.from_bytes(blob[:4], "big")
        if len(blob) < 4 + length:
            raise ValueError("cut short")
        found.append(blob[4 : 4 + length])
        blob = blob[4 + length :]
    return found


def is_whole_key(text: str) -> bool:
    if fault := host_key_fault(text):
        raise Because(fault)
    return True


def is_url(text: str) -> bool:
    match = _URL.fullmatch(text)
    return bool(
        match
        and 0 < int(match["port"] or 80) <= 65535
        and (_HOST_NAME.fullmatch(match["host"]) or ipaddress.IPv4Address(match["host"]))
    )


def is_proxy_command(command: str) -> bool:
    try:
        return bool(shlex.split(command)) and "%h" in command and "%p" in command
    except ValueError as error:
        raise Because(f", as a shell reads it ({error})") from None


def is_network(text: str) -> bool:
    # With a mask others would read it otherwise; all addresses that exist are no network of hosts.
    network = ipaddress.IPv4Network(text)
    return str(network) == text and network.prefixlen > 0


def is_ipv4_of_a_machine(text: str) -> bool:
    address = ipaddress.IPv4Address(text)
    if address.is_loopback or _is_of_no_machine(address):
        raise Because(", of one machine that others reach")
    return True


def is_address(text: str) -> bool:
    try:
        return not _is_of_no_machine(ipaddress.ip_address(text))
    except ValueError:  # "1.2.3.400" is a mistyped address, not a host name
        return bool(_HOST_NAME.fullmatch(text)) and len(text.rstrip(".")) <= _HOST_NAME_CHARACTERS


def _is_of_no_machine(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Returns whether no machine has it: RFC 1122, 3.2.1.3 (0.0.0.0/8), multicast, 240.0.0.0/4 with broadcast."""
    if address.is_unspecified or address.is_multicast or address.is_reserved:
        return True
    return isinstance(address, ipaddress.IPv4Address) and address in ipaddress.IPv4Network("0.0.0.0/8")


def same_spelling(address: str) -> str:
    """Returns one spelling for all of one address or host name."""
    try:
        return str(ipaddress.ip_address(address))
    except ValueError:
        return address.rstrip(".").lower()
