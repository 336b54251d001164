"""Instances and an Elastic IP that eip-region can use."""

from inventory import ElasticIp
from workloads.inventory_example import example

EXAMPLE = example(
    "eip-region",
    {"host-1": "host", "host-2": "host"},
    elastic_ips=(ElasticIp("eipalloc-0123456789abcdef0", "203.0.113.9", allocated=False, reassociate=False),),
)
