"""Instances, volumes, key pairs, placement groups and Elastic IPs as calls to EC2's API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lab.provider.ec2_network import ec2_type, retag, tagged
from lab.provider.resource_type import ResourceType, Values, given, rollback_on_failure, without_none

if TYPE_CHECKING:
    from mypy_boto3_ec2.client import EC2Client

__all__ = ["RESOURCE_TYPES", "retag"]


def _create_key_pair(ec2: EC2Client, inputs: Values) -> tuple[str, Values]:
    created = ec2.import_key_pair(
        KeyName=inputs["keyName"],
        PublicKeyMaterial=inputs["publicKey"].encode(),
        TagSpecifications=tagged("key-pair", inputs),
    )
    return created["KeyName"], {"keyPairId": created.get("KeyPairId", ""), "fingerprint": created["KeyFingerprint"]}


def _create_placement_group(ec2: EC2Client, inputs: Values) -> tuple[str, Values]:
    group = ec2.create_placement_group(
        GroupName=inputs["name"], Strategy=inputs["strategy"], TagSpecifications=tagged("placement-group", inputs)
    )["PlacementGroup"]
    return inputs["name"], {"placementGroupId": group["GroupId"]}


def _create_instance(ec2: EC2Client, inputs: Values) -> tuple[str, Values]:
    root = inputs.get("rootBlockDevice") or {}
    root_ebs = given(root, "volumeType", "volumeSize", "encrypted", "deleteOnTermination")
    cpu = given(inputs.get("cpuOptions") or {}, "coreCount", "threadsPerCore")
    metadata = given(inputs.get("metadataOptions") or {}, "httpEndpoint", "httpTokens", "httpPutResponseHopLimit")
    interface = without_none(
        DeviceIndex=0, Groups=inputs.get("vpcSecurityGroupIds"), **given(inputs, "subnetId", "associatePublicIpAddress")
    )
    launched = ec2.run_instances(
        **given(inputs, "instanceType", "keyName", "userData", "instanceInitiatedShutdownBehavior"),
        **without_none(
            ImageId=inputs["ami"],
            MinCount=1,
            MaxCount=1,
            IamInstanceProfile=without_none(Name=inputs.get("iamInstanceProfile")) or None,
            NetworkInterfaces=[interface],
            Placement=without_none(GroupName=inputs.get("placementGroup")) or None,
            CpuOptions=cpu or None,
            MetadataOptions=metadata or None,
            BlockDeviceMappings=[{"DeviceName": "/dev/xvda", "Ebs": root_ebs}] if root_ebs else None,
            TagSpecifications=[*tagged("instance", inputs), *tagged("volume", root)],
        ),
    )["Instances"][0]
    instance_id = launched["InstanceId"]
    with rollback_on_failure(lambda: ec2.terminate_instances(InstanceIds=[instance_id])):
        ec2.get_waiter("instance_running").wait(InstanceIds=[instance_id])
        return instance_id, _instance_outputs(ec2, instance_id)


def _instance_outputs(ec2: EC2Client, instance_id: str) -> Values:
    instance = ec2.describe_instances(InstanceIds=[instance_id])["Reservations"][0]["Instances"][0]
    return {
        "publicIp": instance.get("PublicIpAddress", ""),
        "privateIp": instance.get("PrivateIpAddress", ""),
        "availabilityZone": instance["Placement"]["AvailabilityZone"],
    }


def _read_back_instance(ec2: EC2Client, instance_id: str) -> Values:
    """AWS's provider reads associatePublicIpAddress as "the first interface has an association"; that of a stopped
    instance has none.
    """
    found = _instance_outputs(ec2, instance_id)
    return {**found, "associatePublicIpAddress": bool(found["publicIp"])}


def _delete_instance(ec2: EC2Client, instance_id: str, _: Values) -> None:
    ec2.terminate_instances(InstanceIds=[instance_id])
    ec2.get_waiter("instance_terminated").wait(InstanceIds=[instance_id])


def _instance_exists(ec2: EC2Client, instance_id: str) -> bool:
    instance = ec2.describe_instances(InstanceIds=[instance_id])["Reservations"][0]["Instances"][0]
    return instance["State"]["Name"] != "terminated"


def _create_volume(ec2: EC2Client, inputs: Values) -> tuple[str, Values]:
    volume = ec2.create_volume(
        **given(inputs, "availabilityZone", "size", "iops", "throughput", "encrypted"),
        **without_none(VolumeType=inputs.get("type")),
        TagSpecifications=tagged("volume", inputs),
    )
    return volume["VolumeId"], {}


def _create_volume_attachment(ec2: EC2Client, inputs: Values) -> tuple[str, Values]:
    ec2.attach_volume(VolumeId=inputs["volumeId"], InstanceId=inputs["instanceId"], Device=inputs["deviceName"])
    return f"vai-{inputs['volumeId']}-{inputs['instanceId']}", {}


def _delete_volume_attachment(ec2: EC2Client, _: str, outputs: Values) -> None:
    instance_id, volume_id = outputs["instanceId"], outputs["volumeId"]
    if not _instance_exists(ec2, instance_id) or not _is_attached(ec2, volume_id):
        return
    if outputs.get("stopInstanceBeforeDetaching"):
        ec2.stop_instances(InstanceIds=[instance_id])
        ec2.get_waiter("instance_stopped").wait(InstanceIds=[instance_id])
    ec2.detach_volume(VolumeId=volume_id, InstanceId=instance_id)


def _is_attached(ec2: EC2Client, volume_id: str) -> bool:
    return bool(ec2.describe_volumes(VolumeIds=[volume_id])["Volumes"][0].get("Attachments"))


def _attachment_exists(ec2: EC2Client, attachment_id: str) -> bool:
    """Looks for this instance's attachment: the volume may be attached to the successor of a terminated one."""
    words = attachment_id.removeprefix("vai-").split("-")
    volume_id, instance_id = "-".join(words[:2]), "-".join(words[2:])
    attachments = ec2.describe_volumes(VolumeIds=[volume_id])["Volumes"][0].get("Attachments", [])
    return any(attachment.get("InstanceId") == instance_id for attachment in attachments)


def _create_address(ec2: EC2Client, inputs: Values) -> tuple[str, Values]:
    made = ec2.allocate_address(Domain=inputs["domain"], TagSpecifications=tagged("elastic-ip", inputs))
    return made["AllocationId"], {"allocationId": made["AllocationId"], "publicIp": made["PublicIp"]}


def _read_back_address(ec2: EC2Client, allocation_id: str) -> Values:
    (address,) = ec2.describe_addresses(AllocationIds=[allocation_id])["Addresses"]
    return {
        "associationId": address.get("AssociationId") or "",
        "instance": address.get("InstanceId") or "",
        "networkInterface": address.get("NetworkInterfaceId") or "",
    }


def _create_address_association(ec2: EC2Client, inputs: Values) -> tuple[str, Values]:
    # As AWS's provider: of allowReassociation it passes on true alone, and EC2 takes what is absent for true.
    allowed: Any = {"AllowReassociation": True} if inputs.get("allowReassociation") else {}
    return ec2.associate_address(**given(inputs, "allocationId", "instanceId"), **allowed)["AssociationId"], {}


def _address_is_associated(ec2: EC2Client, association_id: str) -> bool:
    addresses = ec2.describe_addresses()["Addresses"]
    return any(address.get("AssociationId") == association_id for address in addresses)


RESOURCE_TYPES: Mapping[str, ResourceType[EC2Client]] = {
    "aws:ec2/keyPair:KeyPair": ec2_type(
        _create_key_pair,
        "KeyPairs",
        "KeyName",
        "DeleteKeyPair",
        computed=("keyPairId", "fingerprint"),
        name_input="keyName",
    ),
    "aws:ec2/placementGroup:PlacementGroup": ec2_type(
        _create_placement_group,
        "PlacementGroups",
        "GroupName",
        "DeletePlacementGroup",
        computed=("placementGroupId",),
        name_input="name",
    ),
    "aws:ec2/instance:Instance": ResourceType(
        _create_instance,
        _delete_instance,
        _instance_exists,
        computed=("publicIp", "privateIp", "availabilityZone"),
        read_back=_read_back_instance,
    ),
    "aws:ebs/volume:Volume": ec2_type(_create_volume, "Volumes", "VolumeId", "DeleteVolume"),
    "aws:ec2/volumeAttachment:VolumeAttachment": ResourceType(
        _create_volume_attachment, _delete_volume_attachment, _attachment_exists
    ),
    "aws:ec2/eip:Eip": ec2_type(
        _create_address,
        "Addresses",
        "AllocationId",
        "ReleaseAddress",
        computed=("allocationId", "publicIp"),
        read_back=_read_back_address,
    ),
    "aws:ec2/eipAssociation:EipAssociation": ResourceType(
        _create_address_association,
        lambda ec2, id_, _: ec2.disassociate_address(AssociationId=id_),
        _address_is_associated,
    ),
}
