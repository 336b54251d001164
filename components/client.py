"""The host that measures."""

from __future__ import annotations

import pulumi

from components.host import Host, HostArgs


class Client(pulumi.ComponentResource):
    """A host without volumes of its own: it logs in to those of the storage servers."""

    host: Host

    def __init__(self, name: str, host: HostArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("tidemark:client:Client", name, {"instance_type": host["instance_type"]}, opts)
        self.host = Host(name, host, pulumi.ResourceOptions(parent=self))
        self.register_outputs({"id": self.host.instance.id})
