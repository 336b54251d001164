"""Translates failed attempts to connect into errors with a remedy."""

from __future__ import annotations

import paramiko

from inventory import Host, Ssh
from workloads.errors import WorkloadError


class Unreachable(WorkloadError):
    """SSH does not answer now: the host may be booting, gone, or behind a closed port."""


def connect_error(host: Host, ssh: Ssh, error: Exception, proxy_stderr: str, *, hung_up: bool) -> WorkloadError:
    """Translates an error of paramiko or of the operating system; `hung_up` where the host ended the connection."""
    at = f"{host.address} port {host.port}"
    if isinstance(error, paramiko.BadHostKeyException) or "not found in known_hosts" in str(error):
        return WorkloadError(
            f"the host at {at} shows another host key than the pinned one",
            "find out why before you go on; if the host was replaced, give its new key in host_keys "
            "or remove its line from .tidemark/host-keys.json",
            host.name,
        )
    if isinstance(error, paramiko.AuthenticationException) and hung_up:
        # sshd accepts the key and then hangs up while PAM rejects everyone: while a host boots, /run/nologin exists
        # (pam_nologin(8), systemd-user-sessions.service(8)). paramiko reports a failed authentication.
        return Unreachable(
            f"SSH at {at} hangs up in the middle of the log-in, as a host does that is still booting",
            f"if it goes on, see why that host lets nobody in as {ssh.user} (journalctl -u ssh)",
            host.name,
        )
    if isinstance(error, paramiko.AuthenticationException):
        key = ssh.identity_file or "your SSH agent's keys"
        return WorkloadError(
            f"{at} refuses {key} for user {ssh.user}",
            "give ssh.user and ssh.identity_file as deployed",
            host.name,
        )
    if isinstance(error, paramiko.PasswordRequiredException):
        return WorkloadError(
            f"{ssh.identity_file} is encrypted",
            "load it into an agent and set ssh.identity_file to null",
            host.name,
        )
    reason = proxy_stderr.splitlines()[-1] if proxy_stderr else str(error) or type(error).__name__
    remedy = "see whether the host is up"
    if ssh.proxy_command is None:  # with one, as in a rehearsal, the person's address does not matter
        remedy += " and whether its security group lets your address in (tidemark:sshCidr)"
    return Unreachable(f"SSH at {at} does not answer ({reason})", remedy, host.name)
