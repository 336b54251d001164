"""The private addresses that moto gives to instances of a subnet, one after the other.

moto takes them from a generator; two RunInstances at once, in the threads of its server, made that raise "generator
already executing", and the call ended as an internal error.
"""

from __future__ import annotations

import functools
import threading
from typing import Any

from moto.ec2.models.subnets import Subnet

_moto_address = Subnet.get_available_subnet_ip
_one_at_a_time = threading.Lock()


def addresses_one_at_a_time() -> None:
    """Change moto's class; a second time changes nothing."""
    Subnet.get_available_subnet_ip = _address  # type: ignore[method-assign]  # moto has no hook for it


@functools.wraps(_moto_address)
def _address(self: Any, instance: Any) -> str:
    with _one_at_a_time:
        return _moto_address(self, instance)
