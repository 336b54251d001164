"""What a task of s3-throttle works with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from inventory import Bucket, Host, Inventory, InventoryError
from workloads.connectors.script import ScriptResult
from workloads.connectors.ssh import SshConnector
from workloads.deployment import Deployment
from workloads.s3_throttle.settings import EXPERIMENT, SCRIPTS
from workloads.scripts import find_script


@dataclass(kw_only=True)
class Context(Deployment):
    """The deployment with its bucket; `sums` are the SHA-256 of the uploader's files, once they were looked at."""

    bucket: Bucket
    sums: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, deployment: Deployment) -> Context:
        """A context for connections that are open."""
        return cls(
            hosts=deployment.hosts,
            console=deployment.console,
            results=deployment.results,
            bucket=bucket_of(deployment.inventory),
        )

    @property
    def uploader(self) -> Host:
        """The host that fills the bucket: the first of its role."""
        return self.inventory.hosts_in("uploader")[0]

    @property
    def connector(self) -> SshConnector:
        """The open connection to it."""
        return self.hosts.connector(self.uploader.name)

    def on_uploader(
        self,
        name: str,
        arguments: Sequence[str] = (),
        *,
        idle_timeout_seconds: float = 300,
        on_line: Callable[[str], None] | None = None,
    ) -> ScriptResult:
        """Runs a script there."""
        return self.connector.run(
            find_script(name, SCRIPTS), arguments, idle_timeout_seconds=idle_timeout_seconds, on_line=on_line
        )


def bucket_of(inventory: Inventory) -> Bucket:
    """The inventory's bucket. Raises InventoryError where there is none."""
    if inventory.bucket is None:
        raise InventoryError(f"{inventory.stack}: no bucket in the inventory; {EXPERIMENT} needs one")
    inventory.hosts_in("uploader")
    return inventory.bucket
