"""Every resource type of the program, by its Pulumi token, and what is done with one of them.

Inputs and outputs are Pulumi's, in camelCase, as the schema of pulumi-aws 7 names them. An output that the
program reads is always there: the engine takes an absent one for unknown.
"""

from __future__ import annotations

from typing import Any

from botocore.exceptions import ClientError

from lab.clients import Clients
from lab.errors import LabError
from lab.provider import ec2_instances, ec2_network, efs, iam, s3
from lab.provider.resource_type import ResourceType, Values, tag_list

_MODULES: tuple[tuple[str, Any], ...] = (
    ("ec2", ec2_network),
    ("ec2", ec2_instances),
    ("efs", efs),
    ("iam", iam),
    ("s3", s3),
)
_TYPES: dict[str, tuple[str, Any, ResourceType[Any]]] = {
    token: (service, module.retag, resource_type)
    for service, module in _MODULES
    for token, resource_type in module.RESOURCE_TYPES.items()
}

TOKENS = tuple(_TYPES)
"""The types that the region knows."""
PARAMETER = "aws:ssm/getParameter:getParameter"
"""The only look-up that it knows."""

_NOT_FOUND_SUFFIXES = ("NotFound", ".Unknown")
"""Error codes of EC2 and EFS: InvalidVpcID.NotFound, FileSystemNotFound, InvalidPlacementGroup.Unknown."""
_NOT_FOUND_PREFIXES = (
    "NoSuchBucket",
    "NoSuchEntity",
    "NoSuchPublicAccessBlock",
    "ServerSideEncryptionConfigurationNotFound",
)
"""Error codes of S3 and IAM: NoSuchBucket, NoSuchBucketPolicy, NoSuchEntity."""


def is_not_found(fault: ClientError) -> bool:
    """Returns whether the API answers that the resource does not exist."""
    code = str(fault.response.get("Error", {}).get("Code", ""))
    return code.endswith(_NOT_FOUND_SUFFIXES) or code.startswith(_NOT_FOUND_PREFIXES)


def _look_up(clients: Clients, token: str) -> tuple[Any, ResourceType[Any]]:
    """Returns the client and the implementation of a type. Raises LabError for one that the region does not know."""
    if token not in _TYPES:
        raise LabError(f"{token}: not a type that the rehearsal region knows; the modules of lab/provider list those")
    service, _, resource_type = _TYPES[token]
    return getattr(clients, service), resource_type


def with_physical_name(token: str, inputs: Values, name: str) -> Values:
    """Returns the inputs with a physical name, if the type has one and the program gives none."""
    key = _TYPES[token][2].name_input if token in _TYPES else None
    return inputs if key is None else {key: name, **inputs}


def unknown_before_creation(token: str) -> tuple[str, ...]:
    """Returns the names of the outputs that a preview cannot know."""
    return _TYPES[token][2].computed if token in _TYPES else ()


def whole_numbers(value: Any) -> Any:
    """Returns the value with integers for whole numbers: Pulumi has one kind of number, the API has integers."""
    if isinstance(value, dict):
        return {key: whole_numbers(item) for key, item in value.items()}
    if isinstance(value, list):
        return [whole_numbers(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def create(clients: Clients, token: str, inputs: Values) -> tuple[str, Values]:
    """Creates a resource. Returns its id and all its outputs: the inputs, what the API computed, and `tagsAll`."""
    client, resource_type = _look_up(clients, token)
    inputs = whole_numbers(inputs)
    resource_id, computed = resource_type.create(client, inputs)
    return resource_id, {**inputs, **computed, "tagsAll": inputs.get("tags") or {}}


def delete(clients: Clients, token: str, resource_id: str, outputs: Values) -> None:
    """Deletes a resource; succeeds if it is already gone."""
    client, resource_type = _look_up(clients, token)
    try:
        resource_type.delete(client, resource_id, whole_numbers(outputs))
    except ClientError as fault:
        if not is_not_found(fault):
            raise


def exists(clients: Clients, token: str, resource_id: str) -> bool:
    """Returns whether the API knows the resource."""
    client, resource_type = _look_up(clients, token)
    try:
        return resource_type.exists(client, resource_id)
    except ClientError as fault:
        if is_not_found(fault):
            return False
        raise


def read_back(clients: Clients, token: str, resource_id: str) -> Values:
    """Returns those outputs of an existing resource that may have changed."""
    client, resource_type = _look_up(clients, token)
    return {} if resource_type.read_back is None else resource_type.read_back(client, resource_id)


def parameter(clients: Clients, arguments: Values) -> Values:
    """Answers the look-up of a parameter."""
    value = clients.ssm.get_parameter(Name=arguments["name"])["Parameter"]["Value"]
    return {**arguments, "id": arguments["name"], "value": value, "insecureValue": value}


def retag(clients: Clients, token: str, resource_id: str, old: Values, new: Values) -> None:
    """Changes the tags of a resource from those of its old inputs to those of the new."""
    client, _ = _look_up(clients, token)
    wanted, had = new.get("tags") or {}, old.get("tags") or {}
    gone = [key for key in had if key not in wanted]
    _TYPES[token][1](client, resource_id, tag_list(new), gone)
