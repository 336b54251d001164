"""The types of EC2 as calls to its API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lab.provider.resource_type import Kind, Values, all_or_nothing, given, tag_list, void

if TYPE_CHECKING:
    from mypy_boto3_ec2.client import EC2Client


def _tagged(kind: str, inputs: Mapping[str, Any]) -> list[Any]:
    tags = tag_list(inputs)
    return [{"ResourceType": kind, "Tags": tags}] if tags else []


def retag(ec2: EC2Client, resource_id: str, wanted: list[Any], gone: list[str]) -> None:
    """Take tags away and set others."""
    if gone:
        keys: list[Any] = [{"Key": key} for key in gone]
        ec2.delete_tags(Resources=[resource_id], Tags=keys)
    if wanted:
        ec2.create_tags(Resources=[resource_id], Tags=wanted)


# --- network ---------------------------------------------------------------------------------------------


def _create_vpc(ec2: EC2Client, inputs: Values) -> tuple[str, Values]:
    vpc_id = ec2.create_vpc(CidrBlock=inputs["cidrBlock"], TagSpecifications=_tagged("vpc", inputs))["Vpc"]["VpcId"]
    with all_or_nothing(lambda: ec2.delete_vpc(VpcId=vpc_id)):
        for attribute, key in (
            ("EnableDnsSupport", "enableDnsSupport"),
            ("EnableDnsHostnames", "enableDnsHostnames"),
        ):
            if key in inputs:
                ec2.modify_vpc_attribute(**given(VpcId=vpc_id, **{attribute: {"Value": bool(inputs[key])}}))
    return vpc_id, {}


def _create_subnet(ec2: EC2Client, inputs: Values) -> tuple[str, Values]:
    subnet = ec2.create_subnet(
        **given(
            VpcId=inputs["vpcId"],
            CidrBlock=inputs["cidrBlock"],
            AvailabilityZone=inputs.get("availabilityZone"),
            TagSpecifications=_tagged("subnet", inputs),
        )
    )["Subnet"]
    subnet_id = subnet["SubnetId"]
    if inputs.get("mapPublicIpOnLaunch"):
        with all_or_nothing(lambda: ec2.delete_subnet(SubnetId=subnet_id)):
            ec2.modify_subnet_attribute(SubnetId=subnet_id, MapPublicIpOnLaunch={"Value": True})
    return subnet_id, {"availabilityZone": subnet["AvailabilityZone"]}


def _create_internet_gateway(ec2: EC2Client, inputs: Values) -> tuple[str, Values]:
    created = ec2.create_internet_gateway(TagSpecifications=_tagged("internet-gateway", inputs))
    gateway_id = created["InternetGateway"]["InternetGatewayId"]
    if inputs.get("vpcId"):
        with all_or_nothing(lambda: ec2.delete_internet_gateway(InternetGatewayId=gateway_id)):
            ec2.attach_internet_gateway(InternetGatewayId=gateway_id, VpcId=inputs["vpcId"])
    return gateway_id, {}


def _delete_internet_gateway(ec2: EC2Client, gateway_id: str, outputs: Values) -> None:
    if outputs.get("vpcId"):
        ec2.detach_internet_gateway(InternetGatewayId=gateway_id, VpcId=outputs["vpcId"])
    ec2.delete_internet_gateway(InternetGatewayId=gateway_id)


def _create_route_table(ec2: EC2Client, inputs: Values) -> tuple[str, Values]:
    created = ec2.create_route_table(VpcId=inputs["vpcId"], TagSpecifications=_tagged("route-table", inputs))
    return created["RouteTable"]["RouteTableId"], {}


def _create_route(ec2: EC2Client, inputs: Values) -> tuple[str, Values]:
    ec2.create_route(
        RouteTableId=inputs["routeTableId"],
        DestinationCidrBlock=inputs["destinationCidrBlock"],
        GatewayId=inputs["gatewayId"],
    )
    return f"r-{inputs['routeTableId']}-{inputs['destinationCidrBlock']}", {}


def _delete_route(ec2: EC2Client, _: str, outputs: Values) -> None:
    ec2.delete_route(RouteTableId=outputs["routeTableId"], DestinationCidrBlock=outputs["destinationCidrBlock"])


def _route_exists(ec2: EC2Client, route_id: str) -> bool:
    table_id, _, cidr = route_id.removeprefix("r-").rpartition("-")
    table = ec2.describe_route_tables(RouteTableIds=[table_id])["RouteTables"][0]
    return any(route.get("DestinationCidrBlock") == cidr for route in table["Routes"])


def _create_route_table_association(ec2: EC2Client, inputs: Values) -> tuple[str, Values]:
    created = ec2.associate_route_table(RouteTableId=inputs["routeTableId"], SubnetId=inputs["subnetId"])
    return created["AssociationId"], {}


def _association_exists(ec2: EC2Client, association_id: str) -> bool:
    tables = ec2.describe_route_tables()["RouteTables"]
    return any(
        association.get("RouteTableAssociationId") == association_id
        for table in tables
        for association in table["Associations"]
    )


# --- security --------------------------------------------------------------------------------------------


def _create_security_group(ec2: EC2Client, inputs: Values) -> tuple[str, Values]:
    group_id = ec2.create_security_group(
        **given(
            GroupName=inputs["name"],
            Description=inputs.get("description", "Managed by Pulumi"),
            VpcId=inputs.get("vpcId"),
            TagSpecifications=_tagged("security-group", inputs),
        )
    )["GroupId"]
    # AWS opens all egress of a new group; the provider closes it, so that rules say all there is.
    with all_or_nothing(lambda: ec2.delete_security_group(GroupId=group_id)):
        egress = ec2.describe_security_groups(GroupIds=[group_id])["SecurityGroups"][0]["IpPermissionsEgress"]
        if egress:
            ec2.revoke_security_group_egress(GroupId=group_id, IpPermissions=egress)
    return group_id, {}


def _permission(inputs: Values) -> Any:
    description = given(Description=inputs.get("description"))
    permission = given(IpProtocol=inputs["ipProtocol"], FromPort=inputs.get("fromPort"), ToPort=inputs.get("toPort"))
    if inputs.get("cidrIpv4"):
        permission["IpRanges"] = [{"CidrIp": inputs["cidrIpv4"], **description}]
    if inputs.get("referencedSecurityGroupId"):
        permission["UserIdGroupPairs"] = [{"GroupId": inputs["referencedSecurityGroupId"], **description}]
    return permission


def _create_ingress_rule(ec2: EC2Client, inputs: Values) -> tuple[str, Values]:
    created = ec2.authorize_security_group_ingress(
        GroupId=inputs["securityGroupId"],
        IpPermissions=[_permission(inputs)],
        TagSpecifications=_tagged("security-group-rule", inputs),
    )
    rule_id = created["SecurityGroupRules"][0]["SecurityGroupRuleId"]
    return rule_id, {"securityGroupRuleId": rule_id}


def _create_egress_rule(ec2: EC2Client, inputs: Values) -> tuple[str, Values]:
    created = ec2.authorize_security_group_egress(
        GroupId=inputs["securityGroupId"],
        IpPermissions=[_permission(inputs)],
        TagSpecifications=_tagged("security-group-rule", inputs),
    )
    rule_id = created["SecurityGroupRules"][0]["SecurityGroupRuleId"]
    return rule_id, {"securityGroupRuleId": rule_id}


def _delete_ingress_rule(ec2: EC2Client, rule_id: str, outputs: Values) -> None:
    ec2.revoke_security_group_ingress(GroupId=outputs["securityGroupId"], SecurityGroupRuleIds=[rule_id])


def _delete_egress_rule(ec2: EC2Client, rule_id: str, outputs: Values) -> None:
    ec2.revoke_security_group_egress(GroupId=outputs["securityGroupId"], SecurityGroupRuleIds=[rule_id])


def _create_key_pair(ec2: EC2Client, inputs: Values) -> tuple[str, Values]:
    created = ec2.import_key_pair(
        KeyName=inputs["keyName"],
        PublicKeyMaterial=inputs["publicKey"].encode(),
        TagSpecifications=_tagged("key-pair", inputs),
    )
    return created["KeyName"], {
        "keyPairId": created.get("KeyPairId", ""),
        "fingerprint": created["KeyFingerprint"],
    }


# --- hosts and disks -------------------------------------------------------------------------------------


def _create_placement_group(ec2: EC2Client, inputs: Values) -> tuple[str, Values]:
    group = ec2.create_placement_group(
        GroupName=inputs["name"],
        Strategy=inputs["strategy"],
        TagSpecifications=_tagged("placement-group", inputs),
    )["PlacementGroup"]
    return inputs["name"], {"placementGroupId": group["GroupId"]}


def _root_mapping(root: Mapping[str, Any]) -> list[Any]:
    ebs = given(
        VolumeType=root.get("volumeType"),
        VolumeSize=root.get("volumeSize"),
        Encrypted=root.get("encrypted"),
        DeleteOnTermination=root.get("deleteOnTermination"),
    )
    return [{"DeviceName": "/dev/xvda", "Ebs": ebs}] if ebs else []


def _create_instance(ec2: EC2Client, inputs: Values) -> tuple[str, Values]:
    cpu, metadata = inputs.get("cpuOptions"), inputs.get("metadataOptions")
    card = given(
        DeviceIndex=0,
        SubnetId=inputs["subnetId"],
        Groups=inputs.get("vpcSecurityGroupIds"),
        AssociatePublicIpAddress=inputs.get("associatePublicIpAddress"),
    )
    launched = ec2.run_instances(
        **given(
            ImageId=inputs["ami"],
            InstanceType=inputs["instanceType"],
            MinCount=1,
            MaxCount=1,
            KeyName=inputs.get("keyName"),
            IamInstanceProfile=given(Name=inputs.get("iamInstanceProfile")) or None,
            UserData=inputs.get("userData"),
            NetworkInterfaces=[card],
            Placement=given(GroupName=inputs.get("placementGroup")) or None,
            CpuOptions=given(CoreCount=cpu["coreCount"], ThreadsPerCore=cpu["threadsPerCore"]) if cpu else None,
            MetadataOptions=given(
                HttpEndpoint=metadata.get("httpEndpoint"),
                HttpTokens=metadata.get("httpTokens"),
                HttpPutResponseHopLimit=metadata.get("httpPutResponseHopLimit"),
            )
            if metadata
            else None,
            BlockDeviceMappings=_root_mapping(inputs.get("rootBlockDevice") or {}) or None,
            InstanceInitiatedShutdownBehavior=inputs.get("instanceInitiatedShutdownBehavior"),
            TagSpecifications=[
                *_tagged("instance", inputs),
                *_tagged("volume", inputs.get("rootBlockDevice") or {}),
            ],
        )
    )["Instances"][0]
    instance_id = launched["InstanceId"]
    with all_or_nothing(lambda: ec2.terminate_instances(InstanceIds=[instance_id])):
        ec2.get_waiter("instance_running").wait(InstanceIds=[instance_id])
        return instance_id, _instance_outputs(ec2, instance_id)


def _instance_outputs(ec2: EC2Client, instance_id: str) -> Values:
    instance = ec2.describe_instances(InstanceIds=[instance_id])["Reservations"][0]["Instances"][0]
    return {
        "publicIp": instance.get("PublicIpAddress", ""),
        "privateIp": instance.get("PrivateIpAddress", ""),
        "availabilityZone": instance["Placement"]["AvailabilityZone"],
    }


def _look_at_instance(ec2: EC2Client, instance_id: str) -> Values:
    """AWS's provider reads associatePublicIpAddress as "the first interface has an association", and a stopped instance
    has none.
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
        **given(
            AvailabilityZone=inputs["availabilityZone"],
            Size=inputs.get("size"),
            VolumeType=inputs.get("type"),
            Iops=inputs.get("iops"),
            Throughput=inputs.get("throughput"),
            Encrypted=inputs.get("encrypted"),
            TagSpecifications=_tagged("volume", inputs),
        )
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
    """To that instance: the volume of one that is gone may be attached to its successor."""
    words = attachment_id.removeprefix("vai-").split("-")
    volume_id, instance_id = "-".join(words[:2]), "-".join(words[2:])
    attachments = ec2.describe_volumes(VolumeIds=[volume_id])["Volumes"][0].get("Attachments", [])
    return any(attachment.get("InstanceId") == instance_id for attachment in attachments)


def _rule_exists(ec2: EC2Client, rule_id: str) -> bool:
    rules = ec2.describe_security_group_rules()["SecurityGroupRules"]
    return any(rule["SecurityGroupRuleId"] == rule_id for rule in rules)


# --- addresses -------------------------------------------------------------------------------------------


def _create_address(ec2: EC2Client, inputs: Values) -> tuple[str, Values]:
    made = ec2.allocate_address(Domain=inputs["domain"], TagSpecifications=_tagged("elastic-ip", inputs))
    return made["AllocationId"], {"allocationId": made["AllocationId"], "publicIp": made["PublicIp"]}


def _look_at_address(ec2: EC2Client, allocation_id: str) -> Values:
    (address,) = ec2.describe_addresses(AllocationIds=[allocation_id])["Addresses"]
    return {
        "associationId": address.get("AssociationId") or "",
        "instance": address.get("InstanceId") or "",
        "networkInterface": address.get("NetworkInterfaceId") or "",
    }


def _create_address_association(ec2: EC2Client, inputs: Values) -> tuple[str, Values]:
    # As AWS's provider: of allowReassociation it passes on true alone, and EC2 takes what is absent for true.
    allowed = given(AllowReassociation=True if inputs.get("allowReassociation") else None)
    made = ec2.associate_address(AllocationId=inputs["allocationId"], InstanceId=inputs["instanceId"], **allowed)
    return made["AssociationId"], {}


def _address_is_associated(ec2: EC2Client, association_id: str) -> bool:
    addresses = ec2.describe_addresses()["Addresses"]
    return any(address.get("AssociationId") == association_id for address in addresses)


KINDS: Mapping[str, Kind[EC2Client]] = {
    "aws:ec2/vpc:Vpc": Kind(
        _create_vpc,
        lambda ec2, id_, _: void(ec2.delete_vpc(VpcId=id_)),
        lambda ec2, id_: bool(ec2.describe_vpcs(VpcIds=[id_])["Vpcs"]),
    ),
    "aws:ec2/subnet:Subnet": Kind(
        _create_subnet,
        lambda ec2, id_, _: void(ec2.delete_subnet(SubnetId=id_)),
        lambda ec2, id_: bool(ec2.describe_subnets(SubnetIds=[id_])["Subnets"]),
    ),
    "aws:ec2/internetGateway:InternetGateway": Kind(
        _create_internet_gateway,
        _delete_internet_gateway,
        lambda ec2, id_: bool(ec2.describe_internet_gateways(InternetGatewayIds=[id_])["InternetGateways"]),
    ),
    "aws:ec2/routeTable:RouteTable": Kind(
        _create_route_table,
        lambda ec2, id_, _: void(ec2.delete_route_table(RouteTableId=id_)),
        lambda ec2, id_: bool(ec2.describe_route_tables(RouteTableIds=[id_])["RouteTables"]),
    ),
    "aws:ec2/route:Route": Kind(_create_route, _delete_route, _route_exists),
    "aws:ec2/routeTableAssociation:RouteTableAssociation": Kind(
        _create_route_table_association,
        lambda ec2, id_, _: void(ec2.disassociate_route_table(AssociationId=id_)),
        _association_exists,
    ),
    "aws:ec2/securityGroup:SecurityGroup": Kind(
        _create_security_group,
        lambda ec2, id_, _: void(ec2.delete_security_group(GroupId=id_)),
        lambda ec2, id_: bool(ec2.describe_security_groups(GroupIds=[id_])["SecurityGroups"]),
        name_input="name",
    ),
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": Kind(
        _create_ingress_rule, _delete_ingress_rule, lambda ec2, id_: _rule_exists(ec2, id_)
    ),
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": Kind(
        _create_egress_rule, _delete_egress_rule, lambda ec2, id_: _rule_exists(ec2, id_)
    ),
    "aws:ec2/keyPair:KeyPair": Kind(
        _create_key_pair,
        lambda ec2, id_, _: void(ec2.delete_key_pair(KeyName=id_)),
        lambda ec2, id_: bool(ec2.describe_key_pairs(KeyNames=[id_])["KeyPairs"]),
        computed=("keyPairId", "fingerprint"),
        name_input="keyName",
    ),
    "aws:ec2/placementGroup:PlacementGroup": Kind(
        _create_placement_group,
        lambda ec2, id_, _: void(ec2.delete_placement_group(GroupName=id_)),
        lambda ec2, id_: bool(ec2.describe_placement_groups(GroupNames=[id_])["PlacementGroups"]),
        computed=("placementGroupId",),
        name_input="name",
    ),
    "aws:ec2/instance:Instance": Kind(
        _create_instance,
        _delete_instance,
        _instance_exists,
        computed=("publicIp", "privateIp", "availabilityZone"),
        look=_look_at_instance,
    ),
    "aws:ebs/volume:Volume": Kind(
        _create_volume,
        lambda ec2, id_, _: void(ec2.delete_volume(VolumeId=id_)),
        lambda ec2, id_: bool(ec2.describe_volumes(VolumeIds=[id_])["Volumes"]),
    ),
    "aws:ec2/volumeAttachment:VolumeAttachment": Kind(
        _create_volume_attachment, _delete_volume_attachment, _attachment_exists
    ),
    "aws:ec2/eip:Eip": Kind(
        _create_address,
        lambda ec2, id_, _: void(ec2.release_address(AllocationId=id_)),
        lambda ec2, id_: bool(ec2.describe_addresses(AllocationIds=[id_])["Addresses"]),
        computed=("allocationId", "publicIp"),
        look=_look_at_address,
    ),
    "aws:ec2/eipAssociation:EipAssociation": Kind(
        _create_address_association,
        lambda ec2, id_, _: void(ec2.disassociate_address(AssociationId=id_)),
        _address_is_associated,
    ),
}
