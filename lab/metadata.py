"""The instance metadata service, IMDSv2: where a host finds the credentials of its role.

On EC2 it answers at 169.254.169.254, to each instance about itself. Here it does so inside the region's namespace, and
tells instances apart by their addresses, which nobody can speak for (lab/vpc.py). Credentials come from the API's own
AssumeRole and are nowhere else: not in an argument, a file or a log. What no host asks for is left out.
"""

from __future__ import annotations

import json
import logging
import secrets
import threading
import time
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from botocore.exceptions import BotoCoreError, ClientError

from lab.clients import Clients
from lab.process import run

ADDRESS = "169.254.169.254"
PORT = 80
TOKEN_SECONDS_MOST = 21600  # docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html
_TOKEN = "/latest/api/token"
_TOKEN_HEADER = "X-aws-ec2-metadata-token"
_TOKEN_LIFE = "X-aws-ec2-metadata-token-ttl-seconds"
_CREDENTIALS = "/latest/meta-data/iam/security-credentials/"

log = logging.getLogger("lab.metadata")


class Metadata:
    """What the API knows of the instance at an address, and the tokens that were given out."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients
        self._tokens: dict[str, tuple[str, float]] = {}  # token -> whose, and until when (monotonic)

    def new_token(self, address: str, seconds: int) -> str:
        """A token for the host at this address."""
        token = secrets.token_urlsafe(32)
        self._tokens[token] = address, time.monotonic() + seconds
        return token

    def is_valid(self, token: str, address: str) -> bool:
        """Whether this token was given to that host, and lives."""
        whose, until = self._tokens.get(token, ("", 0.0))
        return whose == address and time.monotonic() < until

    def role_of(self, address: str) -> str | None:
        """The name of the role in the instance profile of the host at this address."""
        found = self._clients.ec2.describe_instances(Filters=[{"Name": "private-ip-address", "Values": [address]}])
        profiles = [
            instance["IamInstanceProfile"]["Arn"]
            for reservation in found["Reservations"]
            for instance in reservation["Instances"]
            if instance["State"]["Name"] == "running" and "IamInstanceProfile" in instance
        ]
        if not profiles:
            return None
        name = profiles[0].rpartition("/")[2]
        roles = self._clients.iam.get_instance_profile(InstanceProfileName=name)["InstanceProfile"]["Roles"]
        return roles[0]["RoleName"] if roles else None

    def credentials(self, role: str, address: str) -> dict[str, str]:
        """Credentials of the role, as the service shows them."""
        arn = self._clients.iam.get_role(RoleName=role)["Role"]["Arn"]
        given = self._clients.sts.assume_role(RoleArn=arn, RoleSessionName=address)["Credentials"]
        return {
            "Code": "Success",
            "Type": "AWS-HMAC",
            "AccessKeyId": given["AccessKeyId"],
            "SecretAccessKey": given["SecretAccessKey"],
            "Token": given["SessionToken"],
            "Expiration": given["Expiration"].strftime("%Y-%m-%dT%H:%M:%SZ"),
        }


class _Handler(BaseHTTPRequestHandler):
    metadata: Metadata

    def do_PUT(self) -> None:  # the name is http.server's
        """A session token."""
        seconds = self.headers.get(_TOKEN_LIFE, "")
        if self.path != _TOKEN or not seconds.isdigit() or not 1 <= int(seconds) <= TOKEN_SECONDS_MOST:
            self._answer(HTTPStatus.BAD_REQUEST)
        else:
            self._answer(HTTPStatus.OK, self.metadata.new_token(self.client_address[0], int(seconds)))

    def do_GET(self) -> None:  # the name is http.server's
        """The role's name, or its credentials."""
        address = self.client_address[0]
        if not self.metadata.is_valid(self.headers.get(_TOKEN_HEADER, ""), address):
            self._answer(HTTPStatus.UNAUTHORIZED)
            return
        try:
            role = self.metadata.role_of(address)
            if role is None or not self.path.startswith(_CREDENTIALS):
                self._answer(HTTPStatus.NOT_FOUND)
            elif self.path == _CREDENTIALS:
                self._answer(HTTPStatus.OK, role)
            elif self.path == _CREDENTIALS + role:
                self._answer(HTTPStatus.OK, json.dumps(self.metadata.credentials(role, address)))
            else:
                self._answer(HTTPStatus.NOT_FOUND)
        except (ClientError, BotoCoreError) as fault:
            log.error("%s asked for %s: %s", address, self.path, fault)
            self._answer(HTTPStatus.INTERNAL_SERVER_ERROR)

    def _answer(self, status: HTTPStatus, text: str = "") -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        if status is HTTPStatus.OK and self.command == "PUT":
            self.send_header(_TOKEN_LIFE, self.headers[_TOKEN_LIFE])
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing: what is asked here is nobody's business."""


def server(clients: Clients, address: str, port: int) -> ThreadingHTTPServer:
    """The service at an address, not yet answering."""
    handler = type("Handler", (_Handler,), {"metadata": Metadata(clients)})
    return ThreadingHTTPServer((address, port), handler)


def serve(clients: Clients) -> ThreadingHTTPServer:
    """Answer in the region's namespace, in a thread of its own; what is returned can be shut down."""
    run(["ip", "address", "add", f"{ADDRESS}/32", "dev", "lo"])
    answering = server(clients, ADDRESS, PORT)
    threading.Thread(target=answering.serve_forever, name="metadata", daemon=True).start()
    return answering
