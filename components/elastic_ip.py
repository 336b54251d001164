"""A public address that stays when the host behind it changes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

import pulumi
import pulumi_aws as aws

from components.elastic_ip_look_up import ElasticIpPlan
from components.tags import Tags, child_options
from inventory import ElasticIp as InventoryElasticIp


class ElasticIpArgs(TypedDict):
    """`plan` has been looked up (components/elastic_ip_look_up.py). `instance_id` is the host that has the address, or
    None where the tasks decide who has it. `after` is what must be there before it is associated: the default route.
    """

    plan: ElasticIpPlan
    instance_id: pulumi.Input[str] | None
    after: Sequence[pulumi.Resource]
    tags: Tags


class ElasticIp(pulumi.ComponentResource):
    """An Elastic IP: allocated, or an existing one, which then stays when the stack is destroyed.

    With a host, the association is the stack's: another `up` puts it back where it belongs. Without one it belongs to
    the tasks and is no resource at all, so that a refresh after a move shows no difference, and no `up` moves the
    address back. What is still associated at a destroy is freed when its host ends; so hosts that may get the address
    are made after it, and end before it is released.
    """

    allocation_id: pulumi.Output[str]
    address: pulumi.Output[str]
    row: pulumi.Output[InventoryElasticIp]
    """The address as the inventory has it."""
    resources: tuple[pulumi.Resource, ...]
    """What hosts that may get the address are made after; empty for an existing address."""

    def __init__(self, name: str, args: ElasticIpArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        plan = args["plan"]
        demand = plan.demand
        super().__init__("tidemark:network:ElasticIp", name, {"existing": demand.allocation_id}, opts)
        if demand.allocation_id is not None and plan.existing_address is not None:
            self.allocation_id = pulumi.Output.from_input(demand.allocation_id)
            self.address = pulumi.Output.from_input(plan.existing_address)
            self.resources = ()
        else:
            allocated = aws.ec2.Eip(
                f"{name}-eip", domain="vpc", tags=args["tags"].named(name), opts=child_options(self)
            )
            self.allocation_id, self.address = allocated.id, allocated.public_ip
            self.resources = (allocated,)
        if args["instance_id"] is not None:
            # A host takes minutes. The provider passes allow_reassociation on where it is true alone, and EC2 takes an
            # address from whoever has it where nothing is said: so what was free at first is looked at once more.
            known_free = pulumi.Output.from_input(args["instance_id"]).apply(lambda _: plan.look_again())
            aws.ec2.EipAssociation(
                f"{name}-association",
                allocation_id=self.allocation_id,
                instance_id=pulumi.Output.all(args["instance_id"], known_free).apply(lambda known: str(known[0])),
                allow_reassociation=demand.reassociate,
                opts=pulumi.ResourceOptions(
                    parent=self,
                    depends_on=list(args["after"]),
                    # Its successor would find the address associated.
                    delete_before_replace=True,
                ),
            )
        self.row = pulumi.Output.all(self.allocation_id, self.address).apply(
            lambda known: InventoryElasticIp(
                id=known[0],
                address=known[1],
                allocated=demand.allocation_id is None,
                reassociate=demand.reassociate,
            )
        )
        self.register_outputs({"allocation_id": self.allocation_id, "address": self.address})
