"""Makes the inventory that `fab inventory.example EXPERIMENT` prints: one to start from, for machines of one's own.

What an experiment needs is in the EXAMPLE of its example.py.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from inventory import Host, Inventory, Network, Ssh, Volume
from workloads.errors import WorkloadError
from workloads.paths import PROJECT

ZONE = "cellar"
_SCHEMA = PROJECT / "schemas" / "inventory.schema.json"


def example_json(experiment: str) -> str:
    """Returns the example as JSON, with the schema that an editor checks it by. Raises WorkloadError for a name that no
    experiment has.
    """
    known = {path.parent.name.replace("_", "-"): path for path in sorted(Path(__file__).parent.glob("*/example.py"))}
    if experiment not in known:
        raise WorkloadError(f"{experiment}: no such experiment", f"give one of {', '.join(known)}")
    example = importlib.import_module(f"workloads.{known[experiment].parent.name}.example").EXAMPLE
    return json.dumps({"$schema": _SCHEMA.as_uri(), **example.to_dict()}, indent=2)


def example(
    experiment: str, roles: Mapping[str, str], volumes: Mapping[str, int] | None = None, **parts: Any
) -> Inventory:
    """Returns an inventory of hosts by `roles`, the role of each name, with so many `volumes` for each role.

    Its addresses are of networks for documentation (RFC 5737), and its ids of nobody's instances.
    """
    hosts = tuple(
        Host(
            name=name,
            role=role,
            id=f"i-{number:017x}",
            type="any",
            zone=ZONE,
            address=f"192.0.2.{number}",
            port=22,
            private_address=f"198.51.100.{number}",
            host_keys=(),
            cpu_limit=None,
            memory_limit_mib=None,
            volumes=tuple(
                Volume(f"{name}-disk-{each + 1}", f"/dev/sd{'bcdefg'[each]}", 50, "any", None)
                for each in range((volumes or {}).get(role, 0))
            ),
        )
        for number, (name, role) in enumerate(roles.items(), start=1)
    )
    return Inventory(
        project="tidemark",
        stack="mine",
        experiment=experiment,
        region="eu-central-1",
        rehearsal=False,
        expires_at=None,
        ssh=Ssh("admin", "~/.ssh/id_ed25519", None),
        network=Network(1500, "198.51.100.0/24", None),
        hosts=hosts,
        **parts,
    )
