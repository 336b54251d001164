"""The types of IAM as calls to its API: what lets an instance act in a role."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lab.provider.resource_type import ResourceType, Values, rollback_on_failure, tag_list

if TYPE_CHECKING:
    from mypy_boto3_iam.client import IAMClient


def retag(iam: IAMClient, resource_id: str, wanted: list[Any], gone: list[str]) -> None:
    """Deletes and sets tags. Roles and instance profiles are tagged by calls of their own."""
    is_profile = any(each["InstanceProfileName"] == resource_id for each in _profiles(iam))
    if is_profile:
        iam.untag_instance_profile(InstanceProfileName=resource_id, TagKeys=gone)
        iam.tag_instance_profile(InstanceProfileName=resource_id, Tags=wanted)
    else:
        iam.untag_role(RoleName=resource_id, TagKeys=gone)
        iam.tag_role(RoleName=resource_id, Tags=wanted)


def _profiles(iam: IAMClient) -> list[Any]:
    return list(iam.list_instance_profiles()["InstanceProfiles"])


def _create_role(iam: IAMClient, inputs: Values) -> tuple[str, Values]:
    role: Any = iam.create_role(
        RoleName=inputs["name"], AssumeRolePolicyDocument=inputs["assumeRolePolicy"], Tags=tag_list(inputs)
    )["Role"]
    return role["RoleName"], {"arn": role["Arn"], "name": role["RoleName"]}


def _create_role_policy(iam: IAMClient, inputs: Values) -> tuple[str, Values]:
    iam.put_role_policy(RoleName=inputs["role"], PolicyName=inputs["name"], PolicyDocument=inputs["policy"])
    return f"{inputs['role']}:{inputs['name']}", {"name": inputs["name"]}


def _delete_role_policy(iam: IAMClient, resource_id: str, _: Values) -> None:
    role, name = resource_id.split(":")
    iam.delete_role_policy(RoleName=role, PolicyName=name)


def _role_policy_exists(iam: IAMClient, resource_id: str) -> bool:
    role, name = resource_id.split(":")
    return bool(iam.get_role_policy(RoleName=role, PolicyName=name))


def _create_profile(iam: IAMClient, inputs: Values) -> tuple[str, Values]:
    name = inputs["name"]
    made: Any = iam.create_instance_profile(InstanceProfileName=name, Tags=tag_list(inputs))["InstanceProfile"]
    with rollback_on_failure(lambda: iam.delete_instance_profile(InstanceProfileName=name)):
        iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=inputs["role"])
    return name, {"arn": made["Arn"], "name": name}


def _delete_profile(iam: IAMClient, name: str, outputs: Values) -> None:
    iam.remove_role_from_instance_profile(InstanceProfileName=name, RoleName=outputs["role"])
    iam.delete_instance_profile(InstanceProfileName=name)


RESOURCE_TYPES: Mapping[str, ResourceType[IAMClient]] = {
    "aws:iam/role:Role": ResourceType(
        _create_role,
        lambda iam, id_, _: iam.delete_role(RoleName=id_),
        lambda iam, id_: bool(iam.get_role(RoleName=id_)),
        computed=("arn", "name"),
        name_input="name",
    ),
    "aws:iam/rolePolicy:RolePolicy": ResourceType(
        _create_role_policy, _delete_role_policy, _role_policy_exists, computed=("name",), name_input="name"
    ),
    "aws:iam/instanceProfile:InstanceProfile": ResourceType(
        _create_profile,
        _delete_profile,
        lambda iam, id_: bool(iam.get_instance_profile(InstanceProfileName=id_)),
        computed=("arn", "name"),
        name_input="name",
    ),
}
