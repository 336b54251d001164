"""An Elastic IP: a public address that stays when its host changes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

import pulumi
import pulumi_aws as aws

from components.elastic_ip_validation import ElasticIpPlan
from components.tags import Tags, child_options
from inventory import ElasticIp as InventoryElasticIp


class ElasticIpArgs(TypedDict):
    """`plan` has been validated (components/elastic_ip_validation.py). `instance_id` is the host that has the address,
    None if the tasks associate it. `depends_on` must exist before the association: the default route.
    """

    plan: ElasticIpPlan
    instance_id: pulumi.Input[str] | None
    depends_on: Sequence[pulumi.Resource]
    tags: Tags


class ElasticIp(pulumi.ComponentResource):
    """A new Elastic IP, or an existing one, which `destroy` does not release.

    With a host, the stack has the association, and another `up` restores it. Without one the tasks associate the
    address, and the association is no resource: no `up` moves the address back after a task moved it. When a host ends,
    EC2 disassociates its address; so hosts that may get the address are created after it, and deleted before it is
    released.
    """

    allocation_id: pulumi.Output[str]
    address: pulumi.Output[str]
    entry: pulumi.Output[InventoryElasticIp]
    """The address for the inventory."""
    resources: tuple[pulumi.Resource, ...]
    """What hosts that may get the address depend on; empty for an existing address."""

    def __init__(self, name: str, args: ElasticIpArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        plan = args["plan"]
        spec = plan.spec
        super().__init__("tidemark:network:ElasticIp", name, {"existing": spec.allocation_id}, opts)
        if spec.allocation_id is not None and plan.existing_address is not None:
            self.allocation_id = pulumi.Output.from_input(spec.allocation_id)
            self.address = pulumi.Output.from_input(plan.existing_address)
            self.resources = ()
        else:
            allocated = aws.ec2.Eip(
                f"{name}-eip", domain="vpc", tags=args["tags"].named(name), opts=child_options(self)
            )
            self.allocation_id, self.address = allocated.id, allocated.public_ip
            self.resources = (allocated,)
        if args["instance_id"] is not None:
            # A host takes minutes to create, so the address is checked again: the provider passes allow_reassociation
            # on only if it is true, and without it EC2 takes the address from another resource.
            checked = pulumi.Output.from_input(args["instance_id"]).apply(lambda _: plan.recheck())
            aws.ec2.EipAssociation(
                f"{name}-association",
                allocation_id=self.allocation_id,
                instance_id=pulumi.Output.all(args["instance_id"], checked).apply(lambda known: str(known[0])),
                allow_reassociation=spec.reassociate,
                opts=pulumi.ResourceOptions(
                    parent=self,
                    depends_on=list(args["depends_on"]),
                    # The replacement would find the address associated.
                    delete_before_replace=True,
                ),
            )
        self.entry = pulumi.Output.all(self.allocation_id, self.address).apply(
            lambda known: InventoryElasticIp(
                id=known[0],
                address=known[1],
                allocated=spec.allocation_id is None,
                reassociate=spec.reassociate,
            )
        )
        self.register_outputs({"allocation_id": self.allocation_id, "address": self.address})
