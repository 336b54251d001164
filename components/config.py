"""The settings that every experiment has (docs/reference/settings.md)."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.aws_settings import AwsSettings, read_aws_settings
from components.settings import SettingError, Settings
from documents import read_text
from inventory.checks import HOST_KEY, host_key_fault
from reaper.tags import from_pairs

EXPERIMENT = "tidemark:experiment"
SSH_CIDR = "tidemark:sshCidr"
ANYWHERE = "tidemark:allowSshFromAnywhere"
PUBLIC_KEY_FILE = "tidemark:sshPublicKeyFile"
PROXY_COMMAND = "tidemark:sshProxyCommand"
LIFETIME = "tidemark:lifetimeHours"
MAX_USD = "tidemark:maxUsdPerHour"
ZONE = "tidemark:zone"

# Blocks that no packet from the internet comes from (RFC 6890 and its updates; IANA IPv4 Special-Purpose Address
# Registry). A security group rule for one of them lets nobody in.
_NEVER_FROM_OUTSIDE = {
    ipaddress.IPv4Network(block): what
    for block, what in (
        ("0.0.0.0/8", "not a host's address (RFC 791)"),
        ("10.0.0.0/8", "private (RFC 1918)"),
        ("100.64.0.0/10", "shared by a provider's customers (RFC 6598)"),
        ("127.0.0.0/8", "loopback (RFC 1122)"),
        ("169.254.0.0/16", "link-local (RFC 3927)"),
        ("172.16.0.0/12", "private (RFC 1918)"),
        ("192.0.0.0/24", "reserved for protocols (RFC 6890)"),
        ("192.0.2.0/24", "reserved for documentation (RFC 5737)"),
        ("192.168.0.0/16", "private (RFC 1918)"),
        ("198.18.0.0/15", "reserved for benchmarks (RFC 2544)"),
        ("198.51.100.0/24", "reserved for documentation (RFC 5737)"),
        ("203.0.113.0/24", "reserved for documentation (RFC 5737)"),
        ("224.0.0.0/4", "multicast (RFC 5771)"),
        ("240.0.0.0/4", "reserved (RFC 1112)"),
    )
}

# A shorter prefix covers a large part of the internet: /8 is the largest block that one organisation was ever given
# (RFC 7020, section 2).
_SHORTEST_PREFIX = 8

_DEFAULT_PUBLIC_KEY_FILE = "~/.ssh/id_ed25519.pub"
_KEY_TYPES = ("ssh-ed25519", "ssh-rsa")  # what EC2 takes for a Linux key pair (API reference, ImportKeyPair)


@dataclass(frozen=True)
class PublicKey:
    """`text` is type and key, without the comment (often a name); `identity_file` is the private half's path."""

    text: str
    identity_file: str


@dataclass(frozen=True)
class CommonConfig:
    """The settings that every experiment has. Hosts end after `lifetime_hours`. None means no limit for
    `max_usd_per_hour`, and for `zone` that one will be chosen.
    """

    project: str
    stack: str
    experiment: str
    aws: AwsSettings
    zone: str | None
    ssh_cidr: str
    ssh_public_key: PublicKey
    ssh_proxy_command: str | None
    lifetime_hours: int
    max_usd_per_hour: float | None

    def owns(self, tags: Iterable[Any]) -> bool:
        """Returns whether a resource with these tags, as AWS answers them, belongs to this stack."""
        found = from_pairs(tags)
        return (found.get("project"), found.get("stack")) == (self.project, self.stack)


def read_common(settings: Settings, *, project: str, experiment: str, directory: Path) -> CommonConfig:
    """Reads these settings and checks each by itself. `directory` is the project's."""
    aws = read_aws_settings(settings)
    return CommonConfig(
        project=project,
        stack=settings.stack,
        experiment=experiment,
        aws=aws,
        zone=settings.optional_text(ZONE),
        ssh_cidr=_read_ssh_cidr(settings, rehearsal=aws.rehearsal),
        ssh_public_key=read_public_key(settings, directory),
        ssh_proxy_command=_read_proxy_command(settings),
        # At most a week: longer than any plan, and a forgotten stack shows up on the same month's bill.
        lifetime_hours=settings.integer(LIFETIME, 1, 168, 4, required=True),
        max_usd_per_hour=settings.amount_or_none(MAX_USD),
    )


def _read_ssh_cidr(settings: Settings, *, rehearsal: bool) -> str:
    """Reads one IPv4 network in the form that EC2 takes. A rehearsal's internet uses documentation addresses."""
    text = settings.text(SSH_CIDR, "$(curl -s https://checkip.amazonaws.com)/32")
    from_anywhere = settings.flag(ANYWHERE)
    if not settings.is_valid(SSH_CIDR):
        return text
    if "/" not in text:
        settings.add_error(SSH_CIDR, f"{text} has no prefix length", "one address is written such as 203.0.113.7/32")
        return text
    try:
        network = ipaddress.ip_network(text)
    except ValueError:
        settings.add_error(SSH_CIDR, f"{text} is not a network", _proper_form(text))
        return text
    if network.prefixlen < _SHORTEST_PREFIX and not from_anywhere:
        settings.add_error(
            SSH_CIDR,
            f"{text} would open SSH to anywhere",
            f"give your own network, such as 203.0.113.7/32, or set {ANYWHERE} true if that is meant",
        )
    elif not isinstance(network, ipaddress.IPv4Network):
        settings.add_error(SSH_CIDR, f"{text} is IPv6 and the hosts have IPv4 addresses", "give an IPv4 network")
    elif str(network) != text:  # a netmask, a prefix length with a leading zero
        settings.add_error(SSH_CIDR, f"{text} is not in the form that AWS takes", f"did you mean {network}?")
    elif not rehearsal:
        for block, what in _NEVER_FROM_OUTSIDE.items():
            if network.subnet_of(block):
                remedy = "give your public address (curl https://checkip.amazonaws.com)"
                settings.add_error(SSH_CIDR, f"{text} is {what}: nothing comes from there over the internet", remedy)
    return text


def _proper_form(text: str) -> str:
    """Suggests the same network without host bits, if there is one."""
    try:
        return f"did you mean {ipaddress.ip_network(text, strict=False)}?"
    except ValueError:
        return "write it such as 203.0.113.7/32"


def read_public_key(settings: Settings, directory: Path) -> PublicKey:
    """Reads the public half of the user's key pair from the file that sshPublicKeyFile names, relative to `directory`
    (the project's). Nothing here opens the private half.
    """
    name = settings.optional_text(PUBLIC_KEY_FILE) or _DEFAULT_PUBLIC_KEY_FILE
    text = ""
    if settings.is_valid(PUBLIC_KEY_FILE):
        try:
            text = _public_key_text(name, directory)
        except SettingError as error:
            settings.add_error(PUBLIC_KEY_FILE, error.fault, error.remedy)
    return PublicKey(text, name.removesuffix(".pub"))


def _public_key_text(name: str, directory: Path) -> str:
    """Returns the type and the key that the file has. Raises SettingError."""
    if not name.endswith(".pub"):
        # The name decides, so that a private key is never read, not even by mistake.
        raise SettingError(f"{name} does not end in .pub", "name the public half of the key pair")
    try:
        text = read_text(directory / Path(name).expanduser())
    except RuntimeError:
        raise SettingError(f"{name} names a user who is not known here", "give the path of the file") from None
    except OSError as error:
        raise SettingError(
            f"{name} cannot be read ({(error.strerror or 'unknown').lower()})",
            f"make a key pair: ssh-keygen -t ed25519 -N '' -f {name.removesuffix('.pub')}",
        ) from None
    except UnicodeDecodeError:
        raise SettingError(f"{name} is not a public key", "expected one line: ssh-ed25519 AAAA…") from None
    except ValueError:  # a NUL, which no path has
        raise SettingError(f"{name!r} cannot be a path", "give the path of the file") from None
    fault = _public_key_fault(text)
    if fault is not None:
        raise SettingError(f"{name} {fault}", "expected one line: ssh-ed25519 AAAA… or ssh-rsa AAAA…")
    return " ".join(text.split()[:2])


def _public_key_fault(text: str) -> str | None:
    """Returns what is wrong with a public key file, without quoting its text; None if it is fine."""
    if "PRIVATE KEY" in text:
        return "holds a private key"
    lines = [line for line in text.splitlines() if line.strip()]
    words = lines[0].split() if lines else []
    if len(lines) != 1 or len(words) < 2:
        return "is not a public key"
    if words[0] not in _KEY_TYPES:
        return f"is of a type that EC2 does not take ({words[0][:40]})" if words[0].isprintable() else "is no key"
    key = " ".join(words[:2])
    if not HOST_KEY.fullmatch(key):
        return "is not a public key"
    return "is a public key that was cut or changed" if host_key_fault(key) else None


def _read_proxy_command(settings: Settings) -> str | None:
    command = settings.optional_text(PROXY_COMMAND)
    if command is not None and ("%h" not in command or "%p" not in command):
        settings.add_error(PROXY_COMMAND, "no %h and %p in it", "they stand for the host's address and port")
    return command
