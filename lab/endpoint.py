"""The region's API: moto's server, with the calls that moto lacks and these experiments need; and how the reconciler
reads the account by it, and reports to it.

Added: placement groups; the real console of an instance's host; StopInstances with Force; the backup policy of a file
system; Debian's image under its public SSM parameter. lab/moto_changes.py changes what moto does otherwise than AWS.
All else is moto's.
"""

from __future__ import annotations

import functools
import io
import json
import logging
import os
import re
import socket
import threading
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, cast

import moto.backends
import moto.core.responses
from botocore.exceptions import BotoCoreError, ClientError
from moto.cloudwatch.models import cloudwatch_backends
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.core.responses import ActionResult, EmptyResult
from moto.core.types import Base64EncodedString
from moto.core.utils import method_names_from_class, utcnow
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models import ec2_backends
from moto.ec2.models.instances import StateReason
from moto.ec2.responses import EC2Response
from moto.efs.models import efs_backends
from moto.efs.responses import EFSResponse
from moto.iam.models import iam_backends
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from moto.s3.models import s3_backends
from moto.ssm.models import Parameter, ssm_backends
from werkzeug.serving import BaseWSGIServer, make_server

from lab.account import Account, Instance, authorized_key, read_account, user_data
from lab.clients import Clients
from lab.kernel.uml import ExitReason
from lab.metrics import Statistics, publish
from lab.moto_changes import change_moto

# Of moto's: it would make 1,300 images of Amazon's for each region that is asked. Hosts here run Debian's alone.
os.environ.setdefault("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")

DEBIAN_IMAGE_PARAMETER = "/aws/service/debian/release/12/latest/amd64"  # wiki.debian.org/Cloud/AmazonEC2Image
# A query names its action in the body (EC2), other services in a header (SSM) or in the path (CloudWatch's CBOR); REST
# services (EFS) ask by GET.
READ_ONLY = re.compile(rb"(?:^|&)Action=(?:Describe|Get|List)")
READ_ONLY_TARGET = re.compile(r"[./](?:Describe|Get|List)[A-Za-z]+$")

# What a signature is for: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
S3_SCOPE = "/s3/aws4_request"

log = logging.getLogger("lab.endpoint")

Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def cache_lookups() -> None:
    """Keeps what moto looks up anew for each request: its modules, on the disk, and the calls of the service's class.

    That took 2 of the 5 ms of CPU time of a DescribeVpcs. Calls that are added to a class later are not found.
    """
    modules = tuple(moto.backends.list_of_moto_modules())
    moto.backends.list_of_moto_modules = lambda: modules
    looked_up = functools.cache(method_names_from_class)
    moto.core.responses.method_names_from_class = looked_up  # type: ignore[attr-defined]  # where it is called


class Endpoint:
    """The API on any number of listening sockets, and what the reconciler needs beyond the API's own state.

    `changed` is set by each request that may change something. `forced_stops` holds the instances that StopInstances
    named with Force. `one_call` is held while a call is answered, and must be held to change moto's models otherwise.
    """

    def __init__(self, console_of: Callable[[str], Path]) -> None:
        self.changed = threading.Event()
        self.forced_stops: set[str] = set()
        self._console_of = console_of
        self._placement_groups: dict[tuple[str, str], dict[str, Any]] = {}  # (region, name)
        self._servers: list[BaseWSGIServer] = []
        # moto fills tables that its threads share while they answer; two at once ended one with an internal error
        # ("dictionary changed size during iteration"). S3 goes without: a body may take as long as a slow link does.
        self.one_call = threading.Lock()
        self._plain = cast(Wsgi, DomainDispatcherApplication(create_backend_app))
        self._application = self._watching(self._plain)
        self._add_missing_calls()
        change_moto()
        cache_lookups()

    def serve(self, listener: socket.socket) -> None:
        """Answers on a listening socket, in a thread of its own."""
        self._serve(listener, self._application)

    def serve_s3(self, listener: socket.socket) -> None:
        """Answers requests to S3 alone: hosts reach this socket. An object is nothing that the reconciler minds."""
        self._serve(listener, _s3_alone(self._plain))

    def _serve(self, listener: socket.socket, application: Wsgi) -> None:
        host, port = listener.getsockname()[:2]
        server = make_server(
            host, port, application, threaded=True, request_handler=MotoRequestHandler, fd=listener.fileno()
        )
        self._servers.append(server)
        threading.Thread(target=server.serve_forever, name=f"endpoint-{port}", daemon=True).start()

    def close(self) -> None:
        for server in self._servers:
            server.shutdown()

    def reset(self) -> None:
        """Empties the account: moto keeps one for each process, whatever endpoint answers for it."""
        for backends in (ec2_backends, ssm_backends, efs_backends, cloudwatch_backends, iam_backends, s3_backends):
            backends.reset()
        self._placement_groups.clear()

    def add_debian_image(self, clients: Clients) -> None:
        """Registers Debian 12's image in a region and publishes it where Debian does."""
        region, ec2 = clients.region, clients.ec2
        image_id = ec2.register_image(
            Name="debian-12-amd64-rehearsal",
            Architecture="x86_64",
            RootDeviceName="/dev/xvda",
            VirtualizationType="hvm",
            BlockDeviceMappings=[{"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 8, "VolumeType": "gp3"}}],
        )["ImageId"]
        # The API refuses names below /aws from customers, as AWS does; Debian's is published by AWS's side.
        ssm_backends[DEFAULT_ACCOUNT_ID][region]._parameters[DEBIAN_IMAGE_PARAMETER].append(
            Parameter(  # type: ignore[abstract]  # moto itself makes it so
                account_id=DEFAULT_ACCOUNT_ID,
                name=DEBIAN_IMAGE_PARAMETER,
                value=image_id,
                parameter_type="String",
                description=None,
                allowed_pattern=None,
                keyid=None,
                last_modified_date=utcnow(),
                version=1,
                data_type="aws:ec2:image",
            )
        )

    def _watching(self, application: Wsgi) -> Wsgi:
        """Wraps the application so that a call that may change something wakes the reconciler when it is done."""

        def watched(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
            target = str(environ.get("HTTP_X_AMZ_TARGET") or environ.get("PATH_INFO", ""))
            body = b""
            if environ.get("REQUEST_METHOD") == "POST" and target == "/":
                length = int(environ.get("CONTENT_LENGTH") or 0)
                body = environ["wsgi.input"].read(length)
                environ["wsgi.input"] = io.BytesIO(body)
            with self.one_call:
                answer = application(environ, start_response)
            asks = environ.get("REQUEST_METHOD") == "GET" or READ_ONLY_TARGET.search(target) or READ_ONLY.search(body)
            if not asks:
                self.changed.set()
            return answer

        return watched

    def _add_missing_calls(self) -> None:
        """moto finds the method of an EC2 action by its name on this class."""
        endpoint = self
        stop_instances = EC2Response.stop_instances

        def get_console_output(self: EC2Response) -> ActionResult:
            instance = self.ec2_backend.get_instance(self._get_param("InstanceId"))
            log = endpoint._console_of(instance.id)
            text = log.read_text(errors="replace")[-65536:] if log.exists() else ""  # EC2 keeps the last 64 KiB
            # XML has no place for control characters; EC2 sends them as they are inside base64, and so does this.
            return ActionResult(
                {"InstanceId": instance.id, "Timestamp": utcnow(), "Output": Base64EncodedString.from_raw_string(text)}
            )

        def stop_with_force(self: EC2Response) -> ActionResult:
            if self._get_bool_param("Force"):
                endpoint.forced_stops.update(self._get_param("InstanceIds", []))
            return stop_instances(self)

        def create_placement_group(self: EC2Response) -> ActionResult:
            name = self._get_param("GroupName")
            key = (self.region, name)
            if key in endpoint._placement_groups:
                raise EC2ClientError("InvalidPlacementGroup.Duplicate", f"The placement group '{name}' already exists.")
            tags = [
                tag
                for specification in self._get_param("TagSpecifications", [])
                for tag in specification.get("Tags", [])
            ]
            group = {
                "GroupName": name,
                "State": "available",
                "Strategy": self._get_param("Strategy") or "cluster",
                "GroupId": f"pg-{abs(hash(key)) & 0xFFFFFFFFFFFFFFFF:017x}",
                "Tags": tags,
            }
            endpoint._placement_groups[key] = group
            return ActionResult({"PlacementGroup": group})

        def describe_placement_groups(self: EC2Response) -> ActionResult:
            names = self._get_param("GroupNames", [])
            groups = [
                group
                for (region, name), group in sorted(endpoint._placement_groups.items())
                if region == self.region and (not names or name in names)
            ]
            known = {group["GroupName"] for group in groups}
            for name in names:
                if name not in known:
                    raise EC2ClientError("InvalidPlacementGroup.Unknown", f"The Placement Group '{name}' is unknown.")
            return ActionResult({"PlacementGroups": groups})

        def delete_placement_group(self: EC2Response) -> ActionResult:
            name = self._get_param("GroupName")
            if endpoint._placement_groups.pop((self.region, name), None) is None:
                raise EC2ClientError("InvalidPlacementGroup.Unknown", f"The Placement Group '{name}' is unknown.")
            return EmptyResult()

        def put_backup_policy(self: EFSResponse) -> tuple[str, dict[str, str]]:
            policy = self._get_param("BackupPolicy")
            _, systems = self.efs_backend.describe_file_systems(file_system_id=self._get_param("FileSystemId"))
            systems[0]._backup = policy["Status"] == "ENABLED"
            return json.dumps({"BackupPolicy": policy}), {"Content-Type": "application/json"}

        EFSResponse.put_backup_policy = put_backup_policy  # type: ignore[attr-defined]  # found by its name, as below
        for name, call in {
            "get_console_output": get_console_output,
            "stop_instances": stop_with_force,
            "create_placement_group": create_placement_group,
            "describe_placement_groups": describe_placement_groups,
            "delete_placement_group": delete_placement_group,
        }.items():
            setattr(EC2Response, name, call)


def _s3_alone(application: Wsgi) -> Wsgi:
    """Refuses whatever is not signed for S3."""

    def refusing(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if S3_SCOPE in str(environ.get("HTTP_AUTHORIZATION", "")):
            return application(environ, start_response)
        start_response("403 Forbidden", [("Content-Type", "application/xml")])
        return [
            b"<Error><Code>AccessDenied</Code><Message>Signed requests to S3 alone are answered here</Message></Error>"
        ]

    return refusing


class RegionApi:
    """The API of one AWS region, as its reconciler needs it."""

    def __init__(self, clients: Clients, endpoint: Endpoint) -> None:
        self._clients = clients
        self._endpoint = endpoint

    def read_account(self) -> Account:
        """Returns all that the machine has to match."""
        return read_account(self._clients)

    def launch_data(self, instance: Instance) -> tuple[str, bytes]:
        """Returns the authorized SSH key and the user data of an instance."""
        ec2 = self._clients.ec2
        return authorized_key(ec2, instance.key_name), user_data(ec2, instance.instance_id)

    def take_forced_stop(self, instance_id: str) -> bool:
        """Returns whether the last StopInstances for it had Force; the next call returns False."""
        forced = instance_id in self._endpoint.forced_stops
        self._endpoint.forced_stops.discard(instance_id)
        return forced

    def publish_minute(self, file_system_id: str, minute_unix_s: int, statistics: Mapping[str, Statistics]) -> None:
        """Puts a minute of a file system's metrics into CloudWatch; logs a failure."""
        try:
            publish(self._clients.cloudwatch, file_system_id, minute_unix_s, statistics)
        except (ClientError, BotoCoreError) as fault:
            log.error("%s: a minute was not published: %s", file_system_id, fault)

    def report_host_exit(self, instance_id: str, reason: ExitReason) -> None:
        """Terminates or stops an instance whose host exited, by its shutdown behavior, and wakes the reconciler.

        An instance that is not running any more keeps its state.
        """
        with self._endpoint.one_call:
            instance = ec2_backends[DEFAULT_ACCOUNT_ID][self._clients.region].get_instance(instance_id)
            if instance.state in ("pending", "running"):
                if instance.instance_initiated_shutdown_behavior == "terminate":
                    instance.terminate()
                else:
                    instance.stop()
                # Not through API calls: between two of them a client would see the state with another reason.
                instance._reason = f"{reason.message} ({utcnow():%Y-%m-%d %H:%M:%S} GMT)"
                instance.state_reason = StateReason(reason.message, reason.code)
        self._endpoint.changed.set()

    def report_file_system_failure(self, file_system_id: str) -> None:
        """Sets the state `error`, EFS' word for "in a failed state and is unrecoverable" (EFS User Guide, "File system
        status"), and wakes the reconciler.
        """
        with self._endpoint.one_call:
            system = efs_backends[DEFAULT_ACCOUNT_ID][self._clients.region].file_systems_by_id.get(file_system_id)
            if system is not None:
                system.life_cycle_state = "error"
        self._endpoint.changed.set()
