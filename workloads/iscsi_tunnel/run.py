"""Measures the same disk through the tunnel and without it, and what ssh alone moves between the same hosts.

A deployment opens nothing but SSH, so that the claim can be tested. The direct path to the target, around the tunnel,
is therefore no setting of the stack: a second portal and, in a VPC, a rule of the security group exist only while
`direct_path` lasts. Both are removed in any case; what a killed run has left is removed by the next one.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

from botocore.exceptions import ClientError

from reaper.services import error_code
from workloads.aws import ec2_client, is_instance_id, one_line
from workloads.cells import CellOutcome, CellRun
from workloads.errors import WorkloadError
from workloads.iscsi import ISCSI_PORT
from workloads.iscsi_tunnel.attachment import attach_recorded
from workloads.iscsi_tunnel.configure import choose_config
from workloads.iscsi_tunnel.endpoints import LIMIT_SECONDS, Attachment, TunnelEndpoints, script
from workloads.iscsi_tunnel.plan import OPERATIONS, PATHS, Cell, Plan, cells_of
from workloads.waiting import wait_until
from workloads.worker import arguments, bring_worker, rate_words, run_worker

BRIEF_SECONDS = 1.0
RULE_DESCRIPTION = "tidemark, while it measures without the tunnel"
# A security group's change takes seconds on AWS, and a pass of the reconciler in a rehearsal.
OPEN_SECONDS = 30


def client_host(tunnel: TunnelEndpoints) -> str:
    """Returns the name of the client. Raises WorkloadError when it is no host: this machine can't measure."""
    if tunnel.client_host is None:
        raise WorkloadError(
            "measuring needs a client among the hosts",
            "set tidemark:clientType and run pulumi up, or name a host with --client",
        )
    return tunnel.client_host.name


def read_briefly(tunnel: TunnelEndpoints, attached: Attachment) -> int:
    """Reads the disk for a moment, unrecorded; returns the number of bytes."""
    host = client_host(tunnel)
    bring_worker(tunnel, [host])
    words = arguments(
        [attached.device], pattern="sequential", request_bytes=256 << 10, threads=4, seconds=BRIEF_SECONDS
    )
    final = run_worker(tunnel, host, script("client_worker"), words).final
    if final is None or not final["bytes"]:
        raise WorkloadError("the disk was not read", "see dmesg on that host", host)
    return int(final["bytes"])


def run(tunnel: TunnelEndpoints, plan: Plan) -> None:
    """Measures every cell, and leaves the volume attached. Raises IncompleteError when some are no measurement."""
    bring_worker(tunnel, [client_host(tunnel)])
    attached = tunnel.attached or attach_recorded(tunnel)
    blank = is_blank(tunnel, attached, plan.written_bytes)
    paths = {path: cells_of(plan, path, writes=blank) for path in PATHS}
    measuring = CellRun(tunnel, sum(map(len, paths.values())) + len(OPERATIONS))
    try:
        measure_path(tunnel, plan, paths["tunnel"], attached.device, measuring)
        config = choose_config(tunnel)
        with direct_path(tunnel) as address:
            sizes = [str(attached.volume_bytes), str(LIMIT_SECONDS)]
            words = [tunnel.iqn, address, config.initiator, tunnel.volume.id, *sizes]
            device = str(tunnel.client.run(script("client_disk"), words).facts[0]["device"])
            try:
                measure_path(tunnel, plan, paths["direct"], device, measuring)
                if blank:
                    tunnel.client.run(script("client_zero"), [device, "0", str(plan.written_bytes)])
            finally:
                tunnel.client.run(script("client_forget"), [tunnel.iqn])
        measure_ssh(tunnel, plan, config.public_key, measuring)
    finally:
        attach_recorded(tunnel)
    measuring.finish()
    measuring.raise_incomplete("run again", tunnel.client_name)


def is_blank(tunnel: TunnelEndpoints, attached: Attachment, length: int) -> bool:
    """Returns whether the disk is empty, so that writing may be measured, too."""
    fact = tunnel.client.run(script("client_blank"), [attached.device, "0", str(length)]).facts[0]
    if not fact["blank"]:
        tunnel.console.say("run", f"the disk holds data (at byte {fact['at']}): it is read, and not written to")
    return bool(fact["blank"])


def measure_path(tunnel: TunnelEndpoints, plan: Plan, cells: list[Cell], device: str, measuring: CellRun) -> None:
    """Measures the cells of one path to the disk."""
    for cell in cells:
        record = {
            "cell": cell.name,
            "path": cell.path,
            "op": cell.operation,
            "pattern": cell.pattern.name,
            "request_bytes": cell.pattern.request_bytes,
            "depth": cell.pattern.depth,
            "started_unix_s": time.time(),
        }
        measuring.measure_cell(record, partial(measure, tunnel, plan, cell, device, measuring.label(cell.name)))


def measure(tunnel: TunnelEndpoints, plan: Plan, cell: Cell, device: str, label: str) -> CellOutcome:
    """Reads or writes the disk with the worker, as the cell defines."""
    words = arguments(
        [device],
        pattern=cell.pattern.order,
        request_bytes=cell.pattern.request_bytes,
        threads=cell.pattern.depth,
        seconds=plan.measured_seconds,
        operation=cell.operation,
        warmup_seconds=plan.warmup_seconds,
        span_bytes=plan.written_bytes if cell.operation == "write" else None,
        overwrite=cell.operation == "write",  # is_blank has found no data
    )
    takes = f"planned: {plan.warmup_seconds + plan.measured_seconds:g} s"
    with tunnel.console.under_way("run", label, takes) as progress:
        outcome = run_worker(
            tunnel,
            client_host(tunnel),
            script("client_worker"),
            words,
            cell=cell.name,
            on_record=lambda record: progress.update(f"{label} {rate_words(record)}"),
        )
    return CellOutcome(outcome.words, outcome.fault("request"))


def measure_ssh(tunnel: TunnelEndpoints, plan: Plan, public_key: str, measuring: CellRun) -> None:
    """Measures what one SSH connection moves, either way: zeros from memory to nowhere."""
    user = tunnel.inventory.ssh.user
    client = tunnel.inventory.host(client_host(tunnel))
    stream = ["open", user, public_key, client.private_address, str(plan.ssh_seconds)]
    try:
        tunnel.server.run(script("server_stream"), stream)
        for operation in OPERATIONS:
            name = f"ssh-{operation}-sequential"
            where = {"cell": name, "path": "ssh", "op": operation, "pattern": "sequential"}
            record = {**where, "started_unix_s": time.time()}
            measuring.measure_cell(record, partial(stream_once, tunnel, operation))
    finally:
        tunnel.server.run(script("server_stream"), ["close", user, "", "", ""])


def stream_once(tunnel: TunnelEndpoints, operation: str) -> CellOutcome:
    """Moves zeros over one SSH connection."""
    route = tunnel.ssh_route()
    words = [operation, tunnel.inventory.ssh.user, route["server"], route["port"], tunnel.server_host.id]
    seen = tunnel.client.run(script("client_stream"), words).facts[0]
    moved, seconds = seen["received_bytes" if operation == "read" else "sent_bytes"], seen["seconds"]
    return CellOutcome(f"{moved / seconds / (1 << 20):>24,.1f} MiB/s", figures={"bytes": moved, "seconds": seconds})


@contextlib.contextmanager
def direct_path(tunnel: TunnelEndpoints) -> Iterator[str]:
    """Lets the client reach the target at the server's own address, which it gives, for the duration of the block."""
    address = tunnel.server_host.private_address
    close_path(tunnel)
    try:
        tunnel.server.run(script("server_portal"), ["open", tunnel.iqn, address])
        for rule in _rules(tunnel):
            with one_line("rule for the measurement without the tunnel"):
                ec2_client(tunnel.inventory.region).authorize_security_group_ingress(**rule)
        _await_open(tunnel, address)
        yield address
    finally:
        close_path(tunnel)


def close_path(tunnel: TunnelEndpoints) -> None:
    """Removes portal and rule; succeeds if they are already gone."""
    for rule in _rules(tunnel):
        try:
            ec2_client(tunnel.inventory.region).revoke_security_group_ingress(**rule)
        except ClientError as error:
            if error_code(error) != "InvalidPermission.NotFound":
                raise WorkloadError(
                    f"the rule for iSCSI of security group {rule['GroupId']} cannot be taken back ({error})",
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


def _rules(tunnel: TunnelEndpoints) -> list[dict[str, Any]]:
    """Returns the rule for the client in each security group of the server; none for a machine that is no instance."""
    if not is_instance_id(tunnel.server_host.id):
        return []
    assert tunnel.client_host is not None, "only a host inside the network has a direct path"
    client = {"CidrIp": f"{tunnel.client_host.private_address}/32", "Description": RULE_DESCRIPTION}
    permission = {"IpProtocol": "tcp", "FromPort": ISCSI_PORT, "ToPort": ISCSI_PORT, "IpRanges": [client]}
    with one_line("security groups of the server"):
        answer = ec2_client(tunnel.inventory.region).describe_instances(InstanceIds=[tunnel.server_host.id])
    interfaces = answer["Reservations"][0]["Instances"][0]["NetworkInterfaces"]
    return [{"GroupId": group["GroupId"], "IpPermissions": [permission]} for group in interfaces[0]["Groups"]]
