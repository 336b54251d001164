"""Networks and security groups as calls to EC2's API."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from botocore import xform_name

from lab.provider.resource_type import ResourceType, Values, given, rollback_on_failure, tag_list

if TYPE_CHECKING:
    from mypy_boto3_ec2.client import EC2Client


def tagged(resource_type: str, inputs: Mapping[str, Any]) -> list[Any]:
    """Returns the tags as a creating call takes them."""
    tags = tag_list(inputs)
    return [{"ResourceType": resource_type, "Tags": tags}] if tags else []


def retag(ec2: EC2Client, resource_id: str, wanted: list[Any], gone: list[str]) -> None:
    """Deletes the tags of the keys `gone` and sets those of `wanted`."""
    if gone:
        keys: list[Any] = [{"Key": key} for key in gone]
        ec2.delete_tags(Resources=[resource_id], Tags=keys)
    if wanted:
        ec2.create_tags(Resources=[resource_id], Tags=wanted)


def ec2_type(
    create: Callable[[EC2Client, Values], tuple[str, Values]], described: str, parameter: str, delete: str, **more: Any
) -> ResourceType[EC2Client]:
    """Returns a type that Describe… returns under the name in it, given a list of `parameter`, and that the call
    `delete` deletes.
    """
    return ResourceType(
        create,
        lambda ec2, id_, _: getattr(ec2, xform_name(delete))(**{parameter: id_}),
        lambda ec2, id_: bool(getattr(ec2, xform_name(f"Describe{described}"))(**{f"{parameter}s": [id_]})[described]),
        **more,
    )


# --- network ---------------------------------------------------------------------------------------------


def _create_vpc(ec2: EC2Client, inputs: Values) -> tuple[str, Values]:
    vpc_id = ec2.create_vpc(CidrBlock=inputs["cidrBlock"], TagSpecifications=tagged("vpc", inputs))["Vpc"]["VpcId"]
    with rollback_on_failure(lambda: ec2.delete_vpc(VpcId=vpc_id)):
        # A call takes one attribute.
        for attribute, value in given(inputs, "enableDnsSupport", "enableDnsHostnames").items():
            change: Any = {attribute: {"Value": value}}
            ec2.modify_vpc_attribute(VpcId=vpc_id, **change)
    return vpc_id, {}


def _create_subnet(ec2: EC2Client, inputs: Values) -> tuple[str, Values]:
    subnet = ec2.create_subnet(
        **given(inputs, "vpcId", "cidrBlock", "availabilityZone"), TagSpecifications=tagged("subnet", inputs)
    )["Subnet"]
    subnet_id = subnet["SubnetId"]
    if inputs.get("mapPublicIpOnLaunch"):
        with rollback_on_failure(lambda: ec2.delete_subnet(SubnetId=subnet_id)):
            ec2.modify_subnet_attribute(SubnetId=subnet_id, MapPublicIpOnLaunch={"Value": True})
    return subnet_id, {"availabilityZone": subnet["AvailabilityZone"]}


def _create_internet_gateway(ec2: EC2Client, inputs: Values) -> tuple[str, Values]:
    created = ec2.create_internet_gateway(TagSpecifications=tagged("internet-gateway", inputs))
    gateway_id = created["InternetGateway"]["InternetGatewayId"]
    if inputs.get("vpcId"):
        with rollback_on_failure(lambda: ec2.delete_internet_gateway(InternetGatewayId=gateway_id)):
            ec2.attach_internet_gateway(InternetGatewayId=gateway_id, VpcId=inputs["vpcId"])
    return gateway_id, {}


def _delete_internet_gateway(ec2: EC2Client, gateway_id: str, outputs: Values) -> None:
    if outputs.get("vpcId"):
        ec2.detach_internet_gateway(InternetGatewayId=gateway_id, VpcId=outputs["vpcId"])
    ec2.delete_internet_gateway(InternetGatewayId=gateway_id)


def _create_route_table(ec2: EC2Client, inputs: Values) -> tuple[str, Values]:
    created = ec2.create_route_table(VpcId=inputs["vpcId"], TagSpecifications=tagged("route-table", inputs))
    return created["RouteTable"]["RouteTableId"], {}


def _create_route(ec2: EC2Client, inputs: Values) -> tuple[str, Values]:
    ec2.create_route(**given(inputs, "routeTableId", "destinationCidrBlock", "gatewayId"))
    return f"r-{inputs['routeTableId']}-{inputs['destinationCidrBlock']}", {}


def _delete_route(ec2: EC2Client, _: str, outputs: Values) -> None:
    ec2.delete_route(**given(outputs, "routeTableId", "destinationCidrBlock"))


def _route_exists(ec2: EC2Client, route_id: str) -> bool:
    table_id, _, cidr = route_id.removeprefix("r-").rpartition("-")
    table = ec2.describe_route_tables(RouteTableIds=[table_id])["RouteTables"][0]
    return any(route.get("DestinationCidrBlock") == cidr for route in table["Routes"])


def _create_route_table_association(ec2: EC2Client, inputs: Values) -> tuple[str, Values]:
    return ec2.associate_route_table(**given(inputs, "routeTableId", "subnetId"))["AssociationId"], {}


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
        **given(inputs, "vpcId"),
        GroupName=inputs["name"],
        Description=inputs.get("description", "Managed by Pulumi"),
        TagSpecifications=tagged("security-group", inputs),
    )["GroupId"]
    # AWS opens all egress of a new group; the provider closes it, so that rules say all there is.
    with rollback_on_failure(lambda: ec2.delete_security_group(GroupId=group_id)):
        egress = ec2.describe_security_groups(GroupIds=[group_id])["SecurityGroups"][0]["IpPermissionsEgress"]
        if egress:
            ec2.revoke_security_group_egress(GroupId=group_id, IpPermissions=egress)
    return group_id, {}


def _permission(inputs: Values) -> Any:
    description = given(inputs, "description")
    permission = given(inputs, "ipProtocol", "fromPort", "toPort")
    if inputs.get("cidrIpv4"):
        permission["IpRanges"] = [{"CidrIp": inputs["cidrIpv4"], **description}]
    if inputs.get("referencedSecurityGroupId"):
        permission["UserIdGroupPairs"] = [{"GroupId": inputs["referencedSecurityGroupId"], **description}]
    return permission


def _create_rule(authorize: Callable[..., Any], inputs: Values) -> tuple[str, Values]:
    tags = tagged("security-group-rule", inputs)
    made = authorize(GroupId=inputs["securityGroupId"], IpPermissions=[_permission(inputs)], TagSpecifications=tags)
    rule_id: str = made["SecurityGroupRules"][0]["SecurityGroupRuleId"]
    return rule_id, {"securityGroupRuleId": rule_id}


def _rule_exists(ec2: EC2Client, rule_id: str) -> bool:
    rules = ec2.describe_security_group_rules()["SecurityGroupRules"]
    return any(rule["SecurityGroupRuleId"] == rule_id for rule in rules)


RESOURCE_TYPES: Mapping[str, ResourceType[EC2Client]] = {
    "aws:ec2/vpc:Vpc": ec2_type(_create_vpc, "Vpcs", "VpcId", "DeleteVpc"),
    "aws:ec2/subnet:Subnet": ec2_type(_create_subnet, "Subnets", "SubnetId", "DeleteSubnet"),
    "aws:ec2/internetGateway:InternetGateway": ResourceType(
        _create_internet_gateway,
        _delete_internet_gateway,
        lambda ec2, id_: bool(ec2.describe_internet_gateways(InternetGatewayIds=[id_])["InternetGateways"]),
    ),
    "aws:ec2/routeTable:RouteTable": ec2_type(_create_route_table, "RouteTables", "RouteTableId", "DeleteRouteTable"),
    "aws:ec2/route:Route": ResourceType(_create_route, _delete_route, _route_exists),
    "aws:ec2/routeTableAssociation:RouteTableAssociation": ResourceType(
        _create_route_table_association,
        lambda ec2, id_, _: ec2.disassociate_route_table(AssociationId=id_),
        _association_exists,
    ),
    "aws:ec2/securityGroup:SecurityGroup": ec2_type(
        _create_security_group, "SecurityGroups", "GroupId", "DeleteSecurityGroup", name_input="name"
    ),
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": ResourceType(
        lambda ec2, inputs: _create_rule(ec2.authorize_security_group_ingress, inputs),
        lambda ec2, id_, outputs: ec2.revoke_security_group_ingress(
            GroupId=outputs["securityGroupId"], SecurityGroupRuleIds=[id_]
        ),
        _rule_exists,
    ),
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": ResourceType(
        lambda ec2, inputs: _create_rule(ec2.authorize_security_group_egress, inputs),
        lambda ec2, id_, outputs: ec2.revoke_security_group_egress(
            GroupId=outputs["securityGroupId"], SecurityGroupRuleIds=[id_]
        ),
        _rule_exists,
    ),
}
