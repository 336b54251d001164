"""Every resource type of the program, by its Pulumi token, and what is done with one of them.

Inputs and outputs are Pulumi's, in camelCase, as the schema of pulumi-aws 7 names them. An output that the
program reads is always there: the engine takes an absent one for unknown.
"""

from __future__ import annotations

from typing import Any

from botocore.exceptions import ClientError

from lab.clients import Clients
from lab.errors import LabError
from lab.provider import ec2, efs, iam, s3
from lab.provider.resource_type import Kind, Values, tag_list

_SERVICES = {"ec2": ec2, "efs": efs, "iam": iam, "s3": s3}
_KINDS: dict[str, tuple[str, Kind[Any]]] = {
    token: (service, kind) for service, module in _SERVICES.items() for token, kind in module.KINDS.items()
}

TOKENS = tuple(_KINDS)
"""The types that the region knows."""

_GONE = ("NotFound", ".Unknown")
"""How codes end: InvalidVpcID.NotFound, FileSystemNotFound, InvalidPlacementGroup.Unknown."""
_GONE_BEGINS = ("NoSuchBucket", "NoSuchEntity", "NoSuchPublicAccessBlock", "ServerSideEncryptionConfigurationNotFound")
"""How S3's and IAM's begin: NoSuchBucket, NoSuchBucketPolicy, NoSuchEntity."""


def is_gone(fault: ClientError) -> bool:
    """The API says that what was asked for does not exist."""
    code = str(fault.response.get("Error", {}).get("Code", ""))
    return code.endswith(_GONE) or code.startswith(_GONE_BEGINS)


def _found(clients: Clients, token: str) -> tuple[Any, Kind[Any]]:
    """The client and the implementation of a type. Raises LabError for one that the region does not know."""
    if token not in _KINDS:
        raise LabError(f"{token}: not a type that the rehearsal region knows; the modules of lab/provider list those")
    service, kind = _KINDS[token]
    return getattr(clients, service), kind


def named(token: str, inputs: Values, name: str) -> Values:
    """The inputs with the physical name, where the type has one and the program gives none."""
    key = _KINDS[token][1].name_input if token in _KINDS else None
    return inputs if key is None else {key: name, **inputs}


def unknown_before_creation(token: str) -> tuple[str, ...]:
    """The outputs that a preview cannot tell."""
    return _KINDS[token][1].computed if token in _KINDS else ()


def whole_numbers(value: Any) -> Any:
    """Pulumi has one kind of number; the API has integers."""
    if isinstance(value, dict):
        return {key: whole_numbers(item) for key, item in value.items()}
    if isinstance(value, list):
        return [whole_numbers(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def create(clients: Clients, token: str, inputs: Values) -> tuple[str, Values]:
    """Make one. Returns its id and all its outputs: the inputs, what the API computed, and `tagsAll`."""
    client, kind = _found(clients, token)
    given = whole_numbers(inputs)
    made_id, computed = kind.create(client, given)
    return made_id, {**given, **computed, "tagsAll": given.get("tags") or {}}


def delete(clients: Clients, token: str, resource_id: str, outputs: Values) -> None:
    """Unmake one; gone already is well."""
    client, kind = _found(clients, token)
    try:
        kind.delete(client, resource_id, whole_numbers(outputs))
    except ClientError as fault:
        if not is_gone(fault):
            raise


def exists(clients: Clients, token: str, resource_id: str) -> bool:
    """Whether the API still knows one."""
    client, kind = _found(clients, token)
    try:
        return kind.exists(client, resource_id)
    except ClientError as fault:
        if is_gone(fault):
            return False
        raise


def look(clients: Clients, token: str, resource_id: str) -> Values:
    """What an existing one's outputs are now, as far as they change while it lives."""
    client, kind = _found(clients, token)
    return {} if kind.look is None else kind.look(client, resource_id)


def retag(clients: Clients, token: str, resource_id: str, old: Values, new: Values) -> None:
    """Make its tags those of the new inputs."""
    client, _ = _found(clients, token)
    wanted, had = new.get("tags") or {}, old.get("tags") or {}
    gone = [key for key in had if key not in wanted]
    _SERVICES[_KINDS[token][0]].retag(client, resource_id, tag_list(new), gone)
