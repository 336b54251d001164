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

MTU_MAX = 16380
"""Bytes of a tunnelled packet, which ssh reads at once: 16 KiB with the four bytes of its address family (OpenSSH's
CHAN_RBUF in channels.h, sys_tun_infilter in port-net.c). The client's end fits it to the segments of the path.
"""

TARGET_PARAMETERS = "InitialR2T=No FirstBurstLength=262144"
"""A write sends its data with the command, up to FirstBurstLength bytes (the most that open-iscsi takes by default): it
does not first wait a round trip of the tunnel until the target asks for it (RFC 7143, 13.10 and 13.14).
"""

# How long what is asked of the disk waits for a connection that was lost; then it fails.
LIMIT_SECONDS = 120
# A server that was just started answers late; ssh tries again meanwhile.
TUNNEL_WAIT_SECONDS = 60
# sshd that was told to read its configuration starts anew, and listens to nobody for a moment; the timer takes it back
# after 60 s (server_ssh.sh).
RELOADED_SECONDS = 20.0
PACKAGES_TIMEOUT_S = 900
BOOT_UNIT = "tidemark-tunnel-server.service"
