"""Calls AWS's API for checks: sessions, clients, and what their errors mean to the user."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import boto3
import botocore.config
import botocore.exceptions
import botocore.parsers

from components.aws_settings import AwsSettings
from components.settings import SettingError

if TYPE_CHECKING:
    from mypy_boto3_ec2.client import EC2Client

HOME_REGION = "us-east-1"
"""Every account has it. A misspelt region has no endpoint, so this one is asked which regions there are."""

ACCESS_DENIED_CODES = frozenset({"UnauthorizedOperation", "AccessDenied", "AccessDeniedException"})
_CREDENTIAL_CODES = frozenset(
    {"AuthFailure", "InvalidClientTokenId", "ExpiredToken", "RequestExpired", "SignatureDoesNotMatch"}
)

CONNECTION_ERRORS = (botocore.exceptions.BotoCoreError, botocore.parsers.ResponseParserError)
"""What boto3 raises when no answer came from AWS. The second is no BotoCoreError: another server answered, such as a
proxy with a page of its own.
"""


def make_session(aws: AwsSettings) -> boto3.Session:
    """Returns a session with the AWS provider's credentials. Raises NoCredentialsError."""
    session = boto3.Session(
        aws_access_key_id=aws.access_key,
        aws_secret_access_key=aws.secret_key,
        aws_session_token=aws.token,
        profile_name=aws.profile,
    )
    if session.get_credentials() is None:  # a client would find out only after it has loaded its model
        raise botocore.exceptions.NoCredentialsError
    return session


def make_client(aws: AwsSettings, session: boto3.Session, service: str, region: str) -> Any:
    """Returns a client of a service in a region, at the stack's own endpoint if it names one. Raises BotoCoreError."""
    config = botocore.config.Config(connect_timeout=5, read_timeout=20, retries={"total_max_attempts": 3})
    named: Any = service  # the stubs know the services that they were made for
    try:
        return session.client(named, region_name=region, endpoint_url=aws.endpoints.get(service), config=config)
    except (
        ValueError
    ) as error:  # an endpoint without http://, a number in the environment or ~/.aws/config that is none
        raise botocore.exceptions.InvalidConfigError(error_msg=str(error)) from error


def ec2_client(aws: AwsSettings, session: boto3.Session, region: str) -> EC2Client:
    """Returns a client of EC2 in a region, at the stack's own endpoint if it names one."""
    client: EC2Client = make_client(aws, session, "ec2", region)
    return client


def error_code(error: botocore.exceptions.ClientError) -> str:
    """Returns the API's code for the error."""
    return str(error.response.get("Error", {}).get("Code", "unknown"))


def short_reason(error: Exception) -> str:
    """Returns a word for why a call failed: the API's code, or the name of the exception."""
    return error_code(error) if isinstance(error, botocore.exceptions.ClientError) else type(error).__name__


def describe_connection_error(error: Exception) -> str:
    """Returns what one of CONNECTION_ERRORS means, in one line."""
    if isinstance(error, botocore.parsers.ResponseParserError):  # its text is the whole page
        return "what answers is no endpoint of AWS"
    return " ".join(str(error).split())


def explain_api_error(error: botocore.exceptions.ClientError, command: str) -> SettingError:
    """Returns what an error of the API means to the user. `command` makes the same call in a terminal."""
    code = error_code(error)
    if code in ACCESS_DENIED_CODES:
        return SettingError(f"the credentials may not ask for this ({code})", f"allow what `{command}` needs")
    if code in _CREDENTIAL_CODES:
        return SettingError(f"AWS refuses the credentials ({code})", "see `aws sts get-caller-identity`")
    message = " ".join(error.response.get("Error", {}).get("Message", "").split())
    return SettingError(f"AWS answers {code}: {message}", f"try again, or ask with `{command}`")
