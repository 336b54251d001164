"""The experiment's constants, each with its reason."""

from __future__ import annotations

from pathlib import Path

EXPERIMENT = "iscsi-tunnel"
SCRIPTS = Path(__file__).parent / "scripts"
PLANS = Path(__file__).parent / "plans"

TUNNEL_USER = "tidemark-tunnel"

PACKAGES = {"server": ("openssh-server", "targetcli-fb"), "client": ("openssh-client", "open-iscsi")}
MODULES = {
    "server": ("tun", "target_core_mod", "target_core_iblock", "iscsi_target_mod"),
    "client": ("tun", "iscsi_tcp", "sd_mod"),
}

MTU_MAX = 8800
"""Bytes of a tunnelled packet: with SSH's framing and the TCP header it fits a frame of 9001, which VPCs have."""

# How long what is asked of the disk waits for a connection that was lost; then it fails.
LIMIT_SECONDS = 120
# A server that was just started answers late; ssh tries again meanwhile.
TUNNEL_WAIT_SECONDS = 60
PACKAGES_TIMEOUT_S = 900
BOOT_UNIT = "tidemark-tunnel-server.service"
