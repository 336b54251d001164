"""Instances that start at once get an address each."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from moto.ec2.models.subnets import Subnet

from lab import subnet_addresses


def test_two_at_once_do_not_meet(monkeypatch: pytest.MonkeyPatch) -> None:
    inside = threading.Semaphore(1)

    def address(self: Any, instance: Any) -> str:
        assert inside.acquire(blocking=False), "two at once"
        time.sleep(0.02)
        inside.release()
        return f"10.20.1.{instance}"

    monkeypatch.setattr(Subnet, "get_available_subnet_ip", Subnet.get_available_subnet_ip)
    monkeypatch.setattr(subnet_addresses, "_moto_address", address)
    subnet_addresses.addresses_one_at_a_time()
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda n: Subnet.get_available_subnet_ip(None, n), range(8)))  # type: ignore[arg-type]
    assert found == [f"10.20.1.{n}" for n in range(8)]
