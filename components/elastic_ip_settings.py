"""What a stack file says of an Elastic IP, for every experiment that takes one."""

from __future__ import annotations

import re
from dataclasses import dataclass

from components.settings import NONE, Settings

ELASTIC_IP = "tidemark:elasticIp"
REASSOCIATE = "tidemark:reassociate"
NEW = "new"

ALLOCATION_ID = re.compile(r"eipalloc-([0-9a-f]{8}|[0-9a-f]{17})")


@dataclass(frozen=True)
class ElasticIpDemand:
    """An address that is asked for: an existing one by its allocation id, or a new one (None). `reassociate` allows it
    to be taken from whatever it is associated with.
    """

    allocation_id: str | None
    reassociate: bool


def read_elastic_ip(settings: Settings, *, default: str, needed: bool = False) -> ElasticIpDemand | None:
    """Read both settings; None: no Elastic IP, or a fault that has been noted.

    `default` is what an absent setting means; `needed` says that the experiment is about one: `none` is refused.
    """
    text = settings.text_or(ELASTIC_IP, default)
    reassociate = settings.flag(REASSOCIATE)
    if not settings.good(ELASTIC_IP):
        return None
    existing = ALLOCATION_ID.fullmatch(text) is not None
    if not existing and text != NEW and (needed or text != NONE):
        allowed = "" if needed else f"{NONE}, "
        settings.refuse(
            ELASTIC_IP,
            f"{text} is no Elastic IP that can be asked for",
            f"give {allowed}{NEW}, or the id of an allocation such as eipalloc-0123456789abcdef0",
        )
        return None
    if reassociate and not existing and settings.good(REASSOCIATE):
        settings.refuse(REASSOCIATE, f"there is nothing to take an address from ({ELASTIC_IP} is {text})", "remove it")
    if text == NONE:
        return None
    return ElasticIpDemand(text if existing else None, reassociate)
