"""The provider for the real Pulumi engine: `pulumi-resource-aws` for endpoints on this machine.

It refuses every endpoint that is not on loopback: credentials of a real account must never pass through it.
What it does is in lab/provider/resources.py; here is only the engine's protocol.
"""

from __future__ import annotations

import functools
import ipaddress
import json
import os
import random
import string
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

import grpc
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError
from pulumi.provider.experimental import server
from pulumi.provider.experimental.property_value import PropertyValue
from pulumi.provider.experimental.provider import (
    CheckRequest,
    CheckResponse,
    ConfigureRequest,
    ConfigureResponse,
    CreateRequest,
    CreateResponse,
    DeleteRequest,
    DiffRequest,
    DiffResponse,
    InvokeRequest,
    InvokeResponse,
    Provider,
    ReadRequest,
    ReadResponse,
    UpdateRequest,
    UpdateResponse,
)
from pulumi.runtime.rpc import UNKNOWN

from lab.clients import Clients
from lab.errors import LabError
from lab.provider import resources

VERSION = "7.51.1"  # of pulumi-aws in requirements.lock, whose schema this follows
UPDATED_IN_PLACE = frozenset({"tags", "tagsAll"})
"""Everything else is replaced when it changes: the region has no use for more."""
_SUFFIX_LENGTH = 7  # of an automatic name, as Pulumi's
ENGINE_CHECK_SECONDS = 1.0
FAIL_AT = "TIDEMARK_LAB_FAIL_AT"
"""A test's lever: the name of a type whose creation is to fail, as an account's limit or a lost line would make it."""


def _plain(value: Any) -> Any:
    """Returns a property as a plain Python value; an unknown one is the SDK's UNKNOWN string."""
    if isinstance(value, PropertyValue):
        value = value.value
    if hasattr(value, "items"):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value


def _property(value: Any) -> PropertyValue:
    """Returns a plain value as a property. The wire has one kind of number."""
    if isinstance(value, PropertyValue):
        return value
    if isinstance(value, dict):
        return PropertyValue({key: _property(item) for key, item in value.items()})
    if isinstance(value, (list, tuple)):
        return PropertyValue([_property(item) for item in value])
    if isinstance(value, int) and not isinstance(value, bool):
        return PropertyValue(float(value))
    return PropertyValue(value)


def _properties(values: dict[str, Any]) -> dict[str, PropertyValue]:
    return {key: _property(value) for key, value in values.items() if value is not None}


def _token(request_type: str) -> str:
    """Returns the resource's own type: a component's child comes as `tidemark:network:Network$aws:ec2/vpc:Vpc`."""
    return request_type.split("$")[-1]


class RehearsalAws(Provider):
    """AWS, as far as this project's programs go, at an endpoint on loopback."""

    def __init__(self) -> None:
        self._clients: Clients | None = None

    async def configure(self, request: ConfigureRequest) -> ConfigureResponse:
        arguments = _plain(request.args)
        endpoints = arguments.get("endpoints") or "[]"
        entries = json.loads(endpoints) if isinstance(endpoints, str) else endpoints
        urls = {service: url for entry in entries for service, url in entry.items()}
        url = urls.get("ec2", "")
        host = urlsplit(url).hostname or ""
        if not _is_loopback(host):
            raise LabError(
                f"this pulumi-resource-aws serves the rehearsal region alone, and aws:endpoints has ec2 at "
                f"{url or 'AWS itself'}; take lab/provider/bin off PATH to deploy on AWS"
            )
        self._clients = Clients(url, str(arguments.get("region") or ""))
        return ConfigureResponse(
            accept_secrets=False, supports_preview=True, accept_resources=False, accept_outputs=False
        )

    async def check(self, request: CheckRequest) -> CheckResponse:
        inputs = dict(request.new_inputs)
        token = _token(request.type)
        # As AWS's provider: another name for each, so that a successor can be made before it takes another's place. The
        # engine gives the old inputs unless it is about a successor.
        suffix = "".join(random.Random(request.random_seed or None).choices(string.hexdigits[:16], k=_SUFFIX_LENGTH))
        for name, value in resources.with_physical_name(token, {}, f"{request.urn.split('::')[-1]}-{suffix}").items():
            if name not in inputs:
                inputs[name] = request.old_inputs.get(name) or PropertyValue(value)
        return CheckResponse(inputs=inputs)

    async def diff(self, request: DiffRequest) -> DiffResponse:
        old, new = (
            resources.whole_numbers(_plain(request.old_state)),
            resources.whole_numbers(_plain(request.new_inputs)),
        )
        # `old_state` is the outputs, which begin with the inputs; an input taken away is one that was given before.
        changed = sorted(key for key in new if key not in request.ignore_changes and old.get(key) != new[key])
        replaced = [key for key in changed if key not in UPDATED_IN_PLACE]
        if not changed:
            return DiffResponse(changes=False)
        # A successor is made first, as by AWS's provider, unless the program says otherwise.
        return DiffResponse(changes=True, diffs=changed, replaces=replaced, delete_before_replace=False)

    async def create(self, request: CreateRequest) -> CreateResponse:
        token = _token(request.type)
        inputs = _plain(request.properties)
        if request.preview:
            unknown = dict.fromkeys(resources.unknown_before_creation(token), UNKNOWN)
            return CreateResponse(
                resource_id="", properties=_properties({**inputs, **unknown, "tagsAll": inputs.get("tags") or {}})
            )
        if os.environ.get(FAIL_AT) == request.urn.split("::")[-1]:
            raise LabError(f"{FAIL_AT} asks for a failure here")
        made_id, outputs = resources.create(self._known(), token, inputs)
        return CreateResponse(resource_id=made_id, properties=_properties(outputs))

    async def update(self, request: UpdateRequest) -> UpdateResponse:
        old, new = _plain(request.olds), _plain(request.news)
        if not request.preview:
            resources.retag(self._known(), _token(request.type), request.resource_id, old, new)
        return UpdateResponse(properties=_properties({**old, **new, "tagsAll": new.get("tags") or {}}))

    async def read(self, request: ReadRequest) -> ReadResponse:
        if not resources.exists(self._known(), _token(request.type), request.resource_id):
            return ReadResponse(resource_id="", properties={}, inputs={})
        seen = _properties(resources.read_back(self._known(), _token(request.type), request.resource_id))
        # What was never asked for is no input, whatever the API says of it.
        inputs = {**request.inputs, **{key: value for key, value in seen.items() if key in request.inputs}}
        return ReadResponse(resource_id=request.resource_id, properties={**request.properties, **seen}, inputs=inputs)

    async def delete(self, request: DeleteRequest) -> None:
        resources.delete(self._known(), _token(request.type), request.resource_id, _plain(request.properties))

    async def invoke(self, request: InvokeRequest) -> InvokeResponse:
        arguments = _plain(request.args)
        if request.tok != resources.PARAMETER:
            raise LabError(f"{request.tok}: not a look-up that the rehearsal region knows")
        return InvokeResponse(return_value=_properties(resources.parameter(self._known(), arguments)))

    def _known(self) -> Clients:
        if self._clients is None:
            raise LabError("asked before it was configured")
        return self._clients


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class _Servicer(server.ProviderServicer):
    """The SDK's server, with errors as one line each."""


def _one_line_errors(name: str) -> Callable[..., Awaitable[Any]]:
    served = getattr(server.ProviderServicer, name)

    @functools.wraps(served)
    async def call(self: server.ProviderServicer, request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        try:
            return await served(self, request, context)
        except Exception as fault:
            cause = fault.__context__  # the SDK's server raises another error, with a traceback in its text
            if not isinstance(cause, (ClientError, BotoCoreError, ResponseParserError, LabError)):
                raise
            await context.abort(grpc.StatusCode.UNKNOWN, " ".join(str(cause).split()))

    return call


for _name in ("Configure", "Check", "Diff", "Create", "Update", "Read", "Delete", "Invoke"):
    setattr(_Servicer, _name, _one_line_errors(_name))


def _exit_after(engine: int) -> None:
    """Ends this process when its parent, the engine, has ended: one that is killed does not end its providers."""
    while os.getppid() == engine:
        time.sleep(ENGINE_CHECK_SECONDS)
    os._exit(1)


if __name__ == "__main__":
    threading.Thread(target=_exit_after, args=(os.getppid(),), daemon=True).start()
    server.ProviderServicer = _Servicer  # type: ignore[misc]  # main() makes the servicer by this name
    server.main(sys.argv[1:], VERSION, RehearsalAws())
