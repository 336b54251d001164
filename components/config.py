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

# Blocks from which no packet comes over the internet (RFC 6890 and its updates, IANA IPv4 Special-Purpose Address
# Registry), each by what it is. A rule for one lets nobody in.
_NEVER_FROM_OUTSIDE = {
    ipaddress.IPv4Network(block): what
    for block, what in (
        ("0.0.0.0/8", "of no host (RFC 791)"),
        ("10.0.0.0/8", "private (RFC 1918)"),
        ("100.64.0.0/10", "shared by a provider's customers (RFC 6598)"),
        ("127.0.0.0/8", "this machine's own (RFC 1122)"),
        ("169.254.0.0/16", "link-local (RFC 3927)"),
        ("172.16.0.0/12", "private (RFC 1918)"),
        ("192.0.0.0/24", "reserved for protocols (RFC 6890)"),
        ("192.0.2.0/24", "of examples (RFC 5737)"),
        ("192.168.0.0/16", "private (RFC 1918)"),
        ("198.18.0.0/15", "of benchmarks (RFC 2544)"),
        ("198.51.100.0/24", "of examples (RFC 5737)"),
        ("203.0.113.0/24", "of examples (RFC 5737)"),
        ("224.0.0.0/4", "multicast (RFC 5771)"),
        ("240.0.0.0/4", "reserved (RFC 1112)"),
    )
}

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
        # A week: longer than any plan, and short enough that a forgotten stack is found on the same bill.
        lifetime_hours=settings.integer(LIFETIME, 1, 168, example=4),
        max_usd_per_hour=settings.amount_or_none(MAX_USD),
    )


def _read_ssh_cidr(settings: Settings, *, rehearsal: bool) -> str:
    """One IPv4 network, written as EC2 takes it. A rehearsal's internet is made of addresses of examples."""
    text = settings.text(SSH_CIDR, "$(curl -s https://checkip.amazonaws.com)/32")
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
    elif not isinstance(network, ipaddress.IPv4Network):
        settings.refuse(SSH_CIDR, f"{text} is IPv6 and the hosts have IPv4 addresses", "give an IPv4 network")
    elif str(network) != text:  # a netmask, a prefix length with a leading zero
        settings.refuse(SSH_CIDR, f"{text} is not written as AWS has it", f"did you mean {network}?")
    elif not rehearsal:
        for block, what in _NEVER_FROM_OUTSIDE.items():
            if network.subnet_of(block):
                remedy = "give the address that the internet sees of you (curl https://checkip.amazonaws.com)"
                settings.refuse(SSH_CIDR, f"{text} is {what}, and nothing comes from there over the internet", remedy)
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
