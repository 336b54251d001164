"""Brings server and client to the state that a tunnel needs. A second run changes nothing."""

from __future__ import annotations

from workloads.deployment import PACKAGES_TIMEOUT_S, Step, run_steps, versions_on
from workloads.iscsi_tunnel.attachment import TunnelConfig, choose_config, export, prepare_ssh, prepare_volume
from workloads.iscsi_tunnel.endpoints import TunnelEndpoints, script

PACKAGES = {"server": ("openssh-server", "targetcli-fb"), "client": ("openssh-client", "open-iscsi")}
MODULES = {
    "server": ("tun", "target_core_mod", "target_core_iblock", "iscsi_target_mod"),
    "client": ("tun", "iscsi_tcp", "sd_mod"),
}


def configure(tunnel: TunnelEndpoints) -> int:
    """Brings packages, sshd's configuration, the volume and the target; returns the number of changes."""
    configs: list[TunnelConfig] = []

    def choose() -> int:
        configs.append(choose_config(tunnel))
        return configs[0].changed

    steps = [
        Step("packages", lambda: bring_packages(tunnel)),
        Step("key and addresses", choose),
        Step("sshd", lambda: prepare_ssh(tunnel, configs[0])),
        Step("volume", lambda: prepare_volume(tunnel, configs[0]).changed),
        Step("target", lambda: export(tunnel, configs[0])),
    ]
    return run_steps(tunnel, steps)


def bring_packages(tunnel: TunnelEndpoints) -> int:
    """Installs packages and loads kernel modules on both endpoints, of which one may be this machine."""
    changed = 0
    for role, connector in (("server", tunnel.server), ("client", tunnel.client)):
        words = [*PACKAGES[role], "--", *MODULES[role]]
        result = connector.run(script("host_packages"), words, idle_timeout_seconds=PACKAGES_TIMEOUT_S)
        tunnel.versions |= versions_on(connector.name, result)
        changed += result.changed
    return changed
