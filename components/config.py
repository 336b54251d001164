"""The settings that every experiment has (docs/interfaces.md, stack configuration)."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from pathlib import Path

from components.aws_settings import AwsSettings, read_aws_settings
from components.public_key import PublicKey, read_public_key
from components.settings import Settings

EXPERIMENT = "tidemark:experiment"
SSH_CIDR = "tidemark:sshCidr"
ANYWHERE = "tidemark:allowSshFromAnywhere"
PROXY_COMMAND = "tidemark:sshProxyCommand"
LIFETIME = "tidemark:lifetimeHours"
MAX_USD = "tidemark:maxUsdPerHour"
ZONE = "tidemark:zone"

# A prefix shorter than this is a large part of the internet, and as good as anywhere: /8 is the largest block
# that one organisation was ever given (RFC 7020, section 2).
_SHORTEST_PREFIX = 8


@dataclass(frozen=True)
class CommonConfig:
    """What a stack says whatever its experiment. `lifetime_hours` ends every host; None for
    `max_usd_per_hour` is no limit, and for `zone` that it is to be chosen.
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


def read_common(settings: Settings, *, project: str, experiment: str, directory: Path) -> CommonConfig:
    """Read and check them one by one. Faults are noted in `settings`; `directory` is the project's."""
    return CommonConfig(
        project=project,
        stack=settings.stack,
        experiment=experiment,
        aws=read_aws_settings(settings),
        zone=settings.optional_text(ZONE),
        ssh_cidr=_read_ssh_cidr(settings),
        ssh_public_key=read_public_key(settings, directory),
        ssh_proxy_command=_read_proxy_command(settings),
        # A week: longer than any plan, and short enough that a forgotten stack is found on the same bill.
        lifetime_hours=settings.integer(LIFETIME, 1, 168, example=4),
        max_usd_per_hour=settings.amount_or_none(MAX_USD),
    )


def _read_ssh_cidr(settings: Settings) -> str:
    text = settings.text(SSH_CIDR, "203.0.113.7/32")
    from_anywhere = settings.flag(ANYWHERE)
    if not settings.good(SSH_CIDR):
        return text
    if "/" not in text:
        settings.refuse(SSH_CIDR, f"{text} has no prefix length", "one address is written such as 203.0.113.7/32")
        return text
    try:
        network = ipaddress.ip_network(text)
    except ValueError:
        settings.refuse(SSH_CIDR, f"{text} is not a network", _proper_form(text))
        return text
    if network.prefixlen < _SHORTEST_PREFIX and not from_anywhere:
        settings.refuse(
            SSH_CIDR,
            f"{text} would open SSH to anywhere",
            f"give your own network, such as 203.0.113.7/32, or set {ANYWHERE} true if that is meant",
        )
    elif network.version != 4:
        settings.refuse(SSH_CIDR, f"{text} is IPv6 and the hosts have IPv4 addresses", "give an IPv4 network")
    return text


def _proper_form(text: str) -> str:
    """What was probably meant: the same network without host bits, if there is one."""
    try:
        return f"did you mean {ipaddress.ip_network(text, strict=False)}?"
    except ValueError:
        return "write it such as 203.0.113.7/32"


def _read_proxy_command(settings: Settings) -> str | None:
    command = settings.optional_text(PROXY_COMMAND)
    if command is not None and ("%h" not in command or "%p" not in command):
        settings.refuse(PROXY_COMMAND, "no %h and %p in it", "they stand for the host's address and port")
    return command
