"""The context of s3-throttle's tasks: connections, and what the experiment adds to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from inventory import Bucket, Host, Inventory, InventoryError
from workloads.connectors.script import ScriptResult
from workloads.connectors.ssh import SshConnector
from workloads.deployment import Deployment
from workloads.scripts import find_script

HERE = Path(__file__).parent
SCRIPTS = HERE / "scripts"

FOLDER = "/opt/tidemark/s3-throttle"
"""All that this project keeps on the uploader."""
ENVIRONMENT = f"{FOLDER}/environment"
"""A Python environment with the AWS CLI and the throttle in it."""
SOURCE = f"{FOLDER}/source"
"""The files that are synced: a pool of random bytes, and for each cell a folder of links to some of them."""
STATE = "/run/tidemark-s3-throttle"
"""The state of a sync while it runs, and whose run it is."""


@dataclass(kw_only=True)
class Context(Deployment):
    """The deployment with its bucket; `sums` are the SHA-256 of the uploader's files, once they are known."""

    bucket: Bucket
    sums: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, deployment: Deployment) -> Context:
        """Returns the context of open connections."""
        return cls(**vars(deployment), bucket=bucket_of(deployment.inventory))

    @property
    def uploader(self) -> Host:
        """The host that fills the bucket: the first of its role."""
        return self.inventory.hosts_in("uploader")[0]

    @property
    def connector(self) -> SshConnector:
        """The open connection to it."""
        return self.hosts.connector(self.uploader.name)

    def on_uploader(
        self, name: str, arguments: Sequence[str] = (), *, idle_timeout_seconds: float = 300
    ) -> ScriptResult:
        """Runs a script on the uploader."""
        return self.connector.run(find_script(name, SCRIPTS), arguments, idle_timeout_seconds=idle_timeout_seconds)


def bucket_of(inventory: Inventory) -> Bucket:
    """Returns the inventory's bucket. Raises InventoryError without one, or without a host of the role uploader."""
    if inventory.bucket is None:
        raise InventoryError(f"{inventory.stack}: no bucket in the inventory; s3-throttle needs one")
    inventory.hosts_in("uploader")
    return inventory.bucket
