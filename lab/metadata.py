"""The instance metadata service, IMDSv2, from which a host gets the credentials of its role.

As on EC2 it answers at 169.254.169.254, to each instance about itself. It knows an instance by its address, which no
other host can send from (lab/vpc.py). Credentials come from the API's AssumeRole and are in no argument,
file or log. Only what the hosts ask for is implemented.
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
    """The session tokens that were given out, and the roles of instances by address."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients
        self._tokens: dict[str, tuple[str, float]] = {}  # token -> address, end of its life (monotonic)

    def new_token(self, address: str, seconds: int) -> str:
        """Returns a new token for the host at this address."""
        token = secrets.token_urlsafe(32)
        self._tokens[token] = address, time.monotonic() + seconds
        return token

    def is_valid(self, token: str, address: str) -> bool:
        """Returns whether this token was given to that host and has not expired."""
        whose, until = self._tokens.get(token, ("", 0.0))
        return whose == address and time.monotonic() < until

    def role_of(self, address: str) -> str | None:
        """Returns the name of the role in the instance profile of the host at this address."""
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
        """Returns credentials of the role in the service's format."""
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
        """Answers with a session token."""
        seconds = self.headers.get(_TOKEN_LIFE, "")
        if self.path != _TOKEN or not seconds.isdigit() or not 1 <= int(seconds) <= TOKEN_SECONDS_MOST:
            self._answer(HTTPStatus.BAD_REQUEST)
        else:
            self._answer(HTTPStatus.OK, self.metadata.new_token(self.client_address[0], int(seconds)))

    def do_GET(self) -> None:  # the name is http.server's
        """Answers with the role's name, or its credentials."""
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
        """Logs nothing."""


def server(clients: Clients, address: str, port: int) -> ThreadingHTTPServer:
    """Returns the service at an address; it does not answer yet."""
    handler = type("Handler", (_Handler,), {"metadata": Metadata(clients)})
    return ThreadingHTTPServer((address, port), handler)


def serve(clients: Clients) -> ThreadingHTTPServer:
    """Answers in the region's namespace, in a thread of its own, until the returned server is shut down."""
    run(["ip", "address", "add", f"{ADDRESS}/32", "dev", "lo"])
    answering = server(clients, ADDRESS, PORT)
    threading.Thread(target=answering.serve_forever, name="metadata", daemon=True).start()
    return answering
