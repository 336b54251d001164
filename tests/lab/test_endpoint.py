"""The region's API as a server: one call at a time, and a failure of its own is one line."""

from __future__ import annotations

import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from moto.ec2.responses import EC2Response

from lab import program
from lab.endpoint import DEBIAN_IMAGE_PARAMETER
from lab.errors import LabError
from lab.stacks import stack_config
from tests.lab.conftest import REGION, Api
from tests.lab.in_process import answered_in_process


def test_calls_are_answered_one_at_a_time(api_over_http: Api) -> None:
    """moto's tables, which all threads share, changed while another thread went over them."""
    seen: list[int] = []
    count = 0

    def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        nonlocal count
        count += 1
        seen.append(count)
        time.sleep(0.02)
        count -= 1
        return []

    watched = api_over_http.endpoint._watching(application)
    with ThreadPoolExecutor(max_workers=4) as pool:
        list(pool.map(lambda _: watched({"REQUEST_METHOD": "GET", "PATH_INFO": "/"}, list), range(8)))
    assert seen == [1] * 8


def test_an_internal_error_of_the_api_is_one_line(
    api_over_http: Api, lab_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(_: EC2Response) -> None:
        raise RuntimeError("dictionary changed size during iteration")

    monkeypatch.setattr(EC2Response, "describe_vpcs", fails)
    monkeypatch.setattr(EC2Response, "create_vpc", fails)
    journal = program.Journal(lab_folder / "journal.ndjson")
    config = stack_config("md-raid.lab", api_over_http.url)
    with pytest.raises(LabError, match=r"^md-raid-network-vpc .*: the region's API failed; see region\.log$") as fault:
        program.run_program("md-raid.lab", config, api_over_http.url, REGION, journal, lambda _: None)
    assert "\n" not in str(fault.value)


def test_answered_in_process_they_are_the_same_as_over_http(api_over_http: Api) -> None:
    """The other tests of the account take the short way (in_process.py)."""
    made, clients = api_over_http, api_over_http.clients
    here: Any = {"LocationConstraint": REGION}
    clients.s3.create_bucket(Bucket="some", CreateBucketConfiguration=here)
    system = clients.efs.create_file_system(CreationToken="a", Tags=[{"Key": "Name", "Value": "ä & ö"}])
    clients.iam.create_role(RoleName="role", AssumeRolePolicyDocument='{"Version": "2012-10-17", "Statement": []}')

    def answers() -> list[Any]:
        clients.s3.put_object(Bucket="some", Key="a folder/ä+b", Body=b"\0content")
        with pytest.raises(ClientError) as refused:
            made.ec2.describe_volumes(VolumeIds=["vol-00000000"])
        found: list[Any] = [
            made.ec2.describe_vpcs(),
            made.ec2.describe_images(Filters=[{"Name": "name", "Values": ["debian*"]}]),
            clients.ssm.get_parameter(Name=DEBIAN_IMAGE_PARAMETER),
            clients.efs.list_tags_for_resource(ResourceId=system["FileSystemId"]),
            clients.iam.list_roles(),
            clients.s3.list_objects_v2(Bucket="some", Prefix="a folder/"),
            clients.s3.head_object(Bucket="some", Key="a folder/ä+b"),
            refused.value.response,
        ]
        content = clients.s3.get_object(Bucket="some", Key="a folder/ä+b")["Body"].read()
        return [{key: each[key] for key in each if key != "ResponseMetadata"} for each in found] + [content]

    over_http = answers()
    with answered_in_process(made.url, made.endpoint._application):
        in_process = answers()
    for one, other in zip(over_http, in_process, strict=True):
        for each in (one, other):
            for moment in ("LastModified", "Contents"):  # the object is written twice
                if isinstance(each, dict) and moment in each:
                    each[moment] = [part["Key"] for part in each[moment]] if moment == "Contents" else None
        assert one == other
