"""What ran where, drawn from the inventory; what that lacks is said."""

from __future__ import annotations

from typing import Any

import jinja2
import pytest

from report.iscsi_tunnel.topology import topology as tunnel
from report.page import TEMPLATES, Html, Missing
from report.s3_throttle.topology import topology as s3_throttle

WORDS = {"client": "has the disk", "disk": "block device", "kept_out": "tries"}


def drawn(block: Html | Missing) -> str:
    assert isinstance(block, Html)
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, undefined=jinja2.StrictUndefined
    )
    return environment.get_template(block.template).render(rehearsal=True, **block.context)


def host(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "role": name, "type": "t3.micro", "zone": "eu-central-1a", **more}


def test_the_tunnel_has_its_ends_its_volume_and_who_is_kept_out() -> None:
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


@pytest.mark.parametrize("inventory", [{}, {"hosts": None}, {"hosts": [{"role": "server"}, "no host"]}])
def test_without_an_inventory_it_is_said(inventory: dict[str, Any]) -> None:
    assert isinstance(tunnel(inventory, **WORDS), Missing)
    assert isinstance(s3_throttle(inventory), Missing)
