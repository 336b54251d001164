"""What ran where, drawn from the inventory; what that lacks is said."""

from __future__ import annotations

from typing import Any

import jinja2
import pytest

from report.efs_iops.experiment import topology as efs_iops
from report.page import TEMPLATES, Html
from report.s3_throttle.experiment import topology as s3_throttle
from report.table import Missing
from report.topology import tunnel_topology as tunnel

WORDS = {"client": "has the disk", "disk": "block device", "third_host": "tries"}


def drawn(block: Html | Missing) -> str:
    assert isinstance(block, Html)
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, undefined=jinja2.StrictUndefined
    )
    return environment.get_template(block.template).render(rehearsal=True, **block.context)


def host(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "role": name, "type": "t3.micro", "zone": "eu-central-1a", **more}


def test_the_tunnel_has_two_ends_a_volume_and_a_third_host_outside() -> None:
    server = host("server", volumes=[{"id": "vol-1", "type": "gp3", "size_gib": 80}])
    inventory = {"hosts": [server, host("client"), host("third")], "network": {"mtu": 9001}}
    html = drawn(tunnel(inventory, **WORDS))
    for words in ("client", "has the disk", "third", "tries", "vol-1", "gp3 \u00b7 80 GiB", "MTU 9001", "(rehearsal)"):
        assert words in html
    assert "this machine" in drawn(tunnel({"hosts": [server]}, **WORDS))
    assert "MTU \u2013" in drawn(tunnel({"hosts": [server]}, **WORDS))


def test_the_bucket_and_the_link_to_it() -> None:
    bucket = {"name": "tidemark-1", "endpoint": "http://198.51.100.1", "uplink_mbit_per_s": 16}
    html = drawn(s3_throttle({"hosts": [host("uploader")], "bucket": bucket}))
    assert "a link of 16 Mbit/s; HTTP to http://198.51.100.1" in html
    html = drawn(s3_throttle({"hosts": [host("uploader")], "region": "eu-west-1"}))
    assert "a link whose rate is not known; HTTP to S3 of eu-west-1" in html


def efs_inventory() -> dict[str, Any]:
    system = {
        "id": "fs-1",
        "throughput_mode": "bursting",
        "performance_mode": "generalPurpose",
        "mount_targets": [
            {"zone": "eu-central-1a", "address": "10.20.1.5"},
            {"zone": "eu-central-1b", "address": "10.20.2.5"},
        ],
    }
    return {"hosts": [host("client")], "file_system": system}


def test_the_file_system_and_its_mount_targets() -> None:
    inventory = efs_inventory()
    html = drawn(efs_iops(inventory))
    assert html.index("client") < html.index("10.20.1.5") < html.index("10.20.2.5") < html.index("fs\u20111")
    assert "EFS \u00b7 General Purpose \u00b7 bursting \u00b7 Regional" in html
    inventory["file_system"].update(
        throughput_mode="provisioned", provisioned_mib_per_s=128, performance_mode="maxIO", one_zone="eu-central-1a"
    )
    assert "EFS \u00b7 Max I/O \u00b7 provisioned, 128 MiB/s \u00b7 One Zone, eu-central-1a" in drawn(
        efs_iops(inventory)
    )


@pytest.mark.parametrize("file_system", [None, "fs-1", {}, {"mount_targets": [{}, 3]}])
def test_clients_without_a_whole_file_system_are_drawn(file_system: object) -> None:
    assert "client" in drawn(efs_iops({"hosts": [host("client")], "file_system": file_system}))


@pytest.mark.parametrize("inventory", [{}, {"hosts": None}, {"hosts": [{"role": "server"}, "no host"]}])
def test_without_an_inventory_it_is_said(inventory: dict[str, Any]) -> None:
    assert isinstance(tunnel(inventory, **WORDS), Missing)
    assert isinstance(s3_throttle(inventory), Missing)
    assert isinstance(efs_iops(inventory), Missing)
