"""Block-storage models for tests: those of lab/service_models, and one drawn at random."""

from __future__ import annotations

import random
from typing import Any

from lab.service_model import BlockStorageModel, from_dict, load

MODELS = ("ebs-2015-c4", "narrow-ebs-link")
RANDOM = "random"
MB = 1_000_000
SERVERS = (1, 2, 3, 5, 8)


def model_of(name: str) -> BlockStorageModel:
    """Returns the model of that name. `random` draws one and prints its own name, such as random-123456, which gives
    the same again.
    """
    if name == RANDOM:
        name = f"{RANDOM}-{random.SystemRandom().randrange(10**6)}"
        print(name)
    found = from_dict(random_document(name), name) if name.startswith(RANDOM) else load(name)
    assert isinstance(found, BlockStorageModel)
    return found


def random_document(name: str) -> dict[str, Any]:
    """A model for the types of md-raid's rehearsal. Hosts of one machine reach its rates: 80 MB/s together at most."""
    draw = random.Random(name)
    while True:
        volume, scale = draw.uniform(3, 9), draw.choice([1, 10, 20])
        network, link = min(volume * draw.uniform(3, 16), 80), volume * draw.uniform(1.5, 6)
        if not any(_hard_to_tell(volume, link, network, servers) for servers in SERVERS):
            break

    def scaled(rate: float) -> int:
        return round(rate * MB * scale)

    instance = {"type": "c4.8xlarge", "network_bytes_per_s": scaled(network), "ebs_bytes_per_s": scaled(link)}
    kind = {"type": "gp2", "bytes_per_s": scaled(volume), "ops_per_s": draw.randrange(80, 400) * scale}
    return {"kind": "block-storage", "name": name, "scale": scale, "instance": [instance], "volume": [kind]}


def _hard_to_tell(volume: float, link: float, network: float, servers: int) -> bool:
    """Whether two limits are so near to each other that a report's border between them is (0.9 of what one allows)."""
    least, second, *_ = sorted([5 * volume * servers, link * servers, network])
    return 0.83 < least / second < 0.93
