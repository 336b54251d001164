"""A direct path to the target, around the tunnel: opened for a measurement and closed after it.

A deployment opens nothing but SSH, so that the claim can be tested. The direct path is therefore no setting of the
stack: a second portal and, in a VPC, a rule of the security group exist only while `direct_path` lasts. Both are
removed in any case; what a killed run has left is removed by the next one.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from botocore.exceptions import ClientError

from reaper.services import error_code
from workloads.aws import ec2_client, is_instance_id, one_line
from workloads.errors import WorkloadError
from workloads.iscsi import ISCSI_PORT
from workloads.iscsi_tunnel.endpoints import TunnelEndpoints, script
from workloads.waiting import wait_until

DESCRIPTION = "tidemark, while it measures without the tunnel"
# A security group's change takes seconds on AWS, and a pass of the reconciler in a rehearsal.
OPEN_SECONDS = 30


@contextlib.contextmanager
def direct_path(tunnel: TunnelEndpoints) -> Iterator[str]:
    """Lets the client reach the target at the server's own address, which it gives, for the duration of the block."""
    address = tunnel.server_host.private_address
    close_path(tunnel)
    try:
        tunnel.server.run(script("server_portal"), ["open", tunnel.iqn, address])
        for group in _security_groups(tunnel):
            with one_line("rule for the measurement without the tunnel"):
                _client(tunnel).authorize_security_group_ingress(GroupId=group, IpPermissions=[_permission(tunnel)])
        _await_open(tunnel, address)
        yield address
    finally:
        close_path(tunnel)


def close_path(tunnel: TunnelEndpoints) -> None:
    """Removes portal and rule; succeeds if they are already gone."""
    for group in _security_groups(tunnel):
        try:
            _client(tunnel).revoke_security_group_ingress(GroupId=group, IpPermissions=[_permission(tunnel)])
        except ClientError as error:
            if error_code(error) != "InvalidPermission.NotFound":
                raise WorkloadError(
                    f"the rule for iSCSI of security group {group} cannot be taken back ({error})",
                    f"remove its rule for port {ISCSI_PORT} in the console",
                ) from error
    tunnel.server.run(script("server_portal"), ["close", tunnel.iqn, tunnel.server_host.private_address])


def _await_open(tunnel: TunnelEndpoints, address: str) -> None:
    def reached() -> bool:
        return bool(tunnel.client.run(script("client_reach"), [f"server={address}:{ISCSI_PORT}"]).facts[0]["reached"])

    if not wait_until(reached, timeout_seconds=OPEN_SECONDS, interval_seconds=0.5):
        raise WorkloadError(
            f"port {ISCSI_PORT} of {address} is not reached, though a rule opens it",
            "see the security group",
            tunnel.client_name,
        )


def _client(tunnel: TunnelEndpoints) -> Any:
    return ec2_client(tunnel.inventory.region)


def _security_groups(tunnel: TunnelEndpoints) -> list[str]:
    """Returns the server's security groups; none for a machine that is no instance."""
    if not is_instance_id(tunnel.server_host.id):
        return []
    with one_line("security groups of the server"):
        answer = _client(tunnel).describe_instances(InstanceIds=[tunnel.server_host.id])
    interfaces = answer["Reservations"][0]["Instances"][0]["NetworkInterfaces"]
    return [group["GroupId"] for group in interfaces[0]["Groups"]]


def _permission(tunnel: TunnelEndpoints) -> dict[str, Any]:
    assert tunnel.client_host is not None, "only a host inside the network has a direct path"
    return {
        "IpProtocol": "tcp",
        "FromPort": ISCSI_PORT,
        "ToPort": ISCSI_PORT,
        "IpRanges": [{"CidrIp": f"{tunnel.client_host.private_address}/32", "Description": DESCRIPTION}],
    }
