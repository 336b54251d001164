"""The way around the tunnel, opened for a measurement and closed after it.

Nothing but SSH is open as deployed, and that is to be so while the claim is tested. So the way is no setting of the
stack: a second portal and, where the network is a VPC, a rule of the security group exist only while `open_way` lasts.
Both are taken back whatever happens; whatever an attempt that was killed left, the next one takes back first.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from botocore.exceptions import ClientError

from workloads.aws import ec2_client, is_instance_id, one_line
from workloads.errors import WorkloadError
from workloads.iscsi import ISCSI_PORT
from workloads.iscsi_tunnel.ends import Ends, script
from workloads.waiting import wait_until

DESCRIPTION = "tidemark, while it measures without the tunnel"
# A security group's change takes seconds on AWS, and a pass of the reconciler in a rehearsal.
OPEN_SECONDS = 30


@contextlib.contextmanager
def open_way(ends: Ends) -> Iterator[str]:
    """Lets the client reach the target at the server's own address, which is given, for as long as the block lasts."""
    address = ends.server_host.private_address
    close_way(ends)
    try:
        ends.server.run(script("server_portal"), ["open", ends.iqn, address])
        for group in _groups(ends):
            with one_line("rule for the measurement without the tunnel"):
                _client(ends).authorize_security_group_ingress(GroupId=group, IpPermissions=[_permission(ends)])
        _await_open(ends, address)
        yield address
    finally:
        close_way(ends)


def close_way(ends: Ends) -> None:
    """Takes portal and rule back, as far as they are there."""
    for group in _groups(ends):
        try:
            _client(ends).revoke_security_group_ingress(GroupId=group, IpPermissions=[_permission(ends)])
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") != "InvalidPermission.NotFound":
                raise WorkloadError(
                    f"the rule for iSCSI of security group {group} cannot be taken back ({error})",
                    f"remove its rule for port {ISCSI_PORT} in the console",
                ) from error
    ends.server.run(script("server_portal"), ["close", ends.iqn, ends.server_host.private_address])


def _await_open(ends: Ends, address: str) -> None:
    def reached() -> bool:
        return bool(ends.client.run(script("client_reach"), [f"server={address}:{ISCSI_PORT}"]).facts[0]["reached"])

    if not wait_until(reached, timeout_seconds=OPEN_SECONDS, interval_seconds=0.5):
        raise WorkloadError(
            f"port {ISCSI_PORT} of {address} is not reached, though a rule opens it", "see the security group", "client"
        )


def _client(ends: Ends) -> Any:
    return ec2_client(ends.deployment.inventory.region)


def _groups(ends: Ends) -> list[str]:
    """The server's security groups; none for a machine of one's own."""
    if not is_instance_id(ends.server_host.id):
        return []
    with one_line("security groups of the server"):
        answer = _client(ends).describe_instances(InstanceIds=[ends.server_host.id])
    interfaces = answer["Reservations"][0]["Instances"][0]["NetworkInterfaces"]
    return [group["GroupId"] for group in interfaces[0]["Groups"]]


def _permission(ends: Ends) -> dict[str, Any]:
    assert ends.client_host is not None, "only a host inside the network can go around the tunnel"
    return {
        "IpProtocol": "tcp",
        "FromPort": ISCSI_PORT,
        "ToPort": ISCSI_PORT,
        "IpRanges": [{"CidrIp": f"{ends.client_host.private_address}/32", "Description": DESCRIPTION}],
    }
