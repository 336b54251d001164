"""The commands of README and docs/ for Pulumi and for an account, typed as they stand there, with the real engine."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from lab.clients import Clients
from lab.endpoint import Endpoint
from lab.leak_check import account_leftovers
from lab.paths import PROJECT
from tests.documented_commands import BY_ENGINE, DOCUMENTS, make_checkout, run_typed, short, typed_in, users_environment

pytestmark = pytest.mark.engine

REGION = "eu-central-1"
# Documents whose code has `pulumi`, in the order in which they are read.
README, AWS, BACKUP, REHEARSE = "README.md", "docs/how-to/aws.md", "docs/how-to/backup.md", "docs/how-to/rehearse.md"
# The reaper is made of resources that a rehearsal's provider does not know; tests/reaper has the program's own tests.
WITHOUT_PROVIDER = "reaper.eu-central-1"


def commands(document: str) -> list[str]:
    """Returns the commands of code blocks that this module types: Pulumi's, and those for an account."""
    return [each for each in typed_in(PROJECT / document) if re.fullmatch(BY_ENGINE, short(each))]


@dataclass
class Person:
    """Types commands in a copy of the checkout, with a home of its own."""

    checkout: Path
    state: Path
    environment: dict[str, str]

    def types(self, command: str, *, fails: bool = False) -> str:
        """Returns what the command printed. `export` holds for what is typed later."""
        if command.startswith("export "):
            name, _, value = command.removeprefix("export ").partition("=")
            self.environment[name] = shlex.split(value)[0] if value else ""
            return ""
        # `--local` is the home directory of the password database, whatever $HOME says: the user's own state.
        command = command.replace("pulumi login --local", f"pulumi login {self.state.as_uri()}")
        done = run_typed(command, self.checkout, self.environment)
        assert (done.returncode != 0) == fails, f"{command}: exit code {done.returncode}\n{done.stdout}"
        return done.stdout


@pytest.fixture
def person(tmp_path: Path) -> Person:
    """Somebody without AWS credentials. Their address is known: the documented `curl` asks nobody."""
    if shutil.which("pulumi") is None:
        pytest.skip("no `pulumi` on PATH: documented commands are checked for their names and settings alone")
    checkout, state, home, tools = (tmp_path / name for name in ("checkout", "state", "home", "tools"))
    for folder in (state, home / ".ssh", tools):
        folder.mkdir(parents=True)
    make_checkout(checkout)
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(home / ".ssh/id_ed25519")], check=True)
    (tools / "curl").write_text("#!/bin/sh\necho 93.184.215.14\n")
    (tools / "curl").chmod(0o755)
    return Person(
        checkout,
        state,
        users_environment(home)
        | {
            "PULUMI_HOME": str(home / ".pulumi"),
            "PATH": f"{tools}:{PROJECT / 'lab' / 'provider' / 'bin'}:{os.environ['PATH']}",
            # What a person confirms by hand.
            "PULUMI_SKIP_CONFIRMATIONS": "true",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        },
    )


@pytest.fixture
def account(person: Person, tmp_path: Path) -> Iterator[Clients]:
    """An empty account behind the rehearsal's endpoint, at which all stacks of the checkout point."""
    api = Endpoint(lambda instance_id: tmp_path / instance_id)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        api.serve(listener)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        api.reset()
        api.add_debian_image(Clients(url, REGION))
        rehearsal = yaml.safe_load((PROJECT / "stacks/Pulumi.md-raid.lab.yaml").read_text())["config"]
        aws = {name: value for name, value in rehearsal.items() if name.startswith("aws:")}
        aws["aws:endpoints"] = [dict.fromkeys(entry, url) for entry in aws["aws:endpoints"]]
        for path in (person.checkout / "stacks").glob("*.yaml"):
            document = yaml.safe_load(path.read_text())
            document["config"] |= aws
            if path.name.endswith(".lab.yaml"):
                document["config"]["tidemark:sshPublicKeyFile"] = "~/.ssh/id_ed25519.pub"
            path.write_text(yaml.safe_dump(document))
        person.environment |= {
            "AWS_ENDPOINT_URL": url,
            "AWS_ACCESS_KEY_ID": "rehearsal",
            "AWS_SECRET_ACCESS_KEY": "rehearsal",
        }
        yield Clients(url, REGION)
        api.close()


def test_every_document_with_pulumi_is_typed_here() -> None:
    with_pulumi = {name for path in DOCUMENTS if commands(name := str(path.relative_to(PROJECT)))}
    assert with_pulumi == {README, AWS, BACKUP, REHEARSE}


def test_without_credentials_the_readme_goes_as_far_as_it_says(person: Person) -> None:
    """Up to the look-up of the image. AWS's own provider is not here: the rehearsal's refuses AWS in its place."""
    *before, up, _, check = commands(README)
    for command in before:
        person.types(command)
    printed = person.types(up, fails=True)
    assert "the Debian 12 image could not be looked up" in printed, printed
    assert "Traceback" not in printed + person.types(check, fails=True)
    assert "Without credentials `pulumi up` fails when it looks up the Debian image" in (PROJECT / README).read_text()


def test_the_readme_deploys_and_destroys(person: Person, account: Clients) -> None:
    *before, destroy, check = commands(README)
    for command in before:
        person.types(command)
    assert len(account.ec2.describe_instances()["Reservations"]) == 4
    (group,) = [
        each for each in account.ec2.describe_security_groups()["SecurityGroups"] if "members" in each["GroupName"]
    ]
    allowed = [each["CidrIp"] for rule in group["IpPermissions"] for each in rule["IpRanges"]]
    assert "93.184.215.14/32" in allowed
    person.types(destroy)
    assert "nothing of tidemark is left" in person.types(check)
    assert account_leftovers(account) == []


def test_the_page_on_aws_destroys_what_the_readme_has_deployed(person: Person, account: Clients) -> None:
    for command in commands(README)[:-2]:
        person.types(command)
    for command in commands(AWS):
        if WITHOUT_PROVIDER not in command or "init" in command:
            person.types(command)
    assert account_leftovers(account) == []


def test_the_page_on_backups_keeps_the_volume_until_it_is_named(person: Person, account: Clients) -> None:
    for command in commands(README)[:-2]:
        person.types(command.replace("md-raid.eu-central-1", "encrypted-backup.eu-central-1"))
    (volume,) = [each["VolumeId"] for each in account.ec2.describe_volumes()["Volumes"] if each["Size"] == 80]
    keep, *delete = commands(BACKUP)
    person.types(keep)
    left = account_leftovers(account)
    assert f"volume {volume}" in left
    kinds = {each.rpartition(" ")[0] for each in left}
    assert kinds == {"volume", "vpc", "subnet", "route table"}, "the page says: the volume and its network"
    for command in delete:
        person.types(command)
    assert account_leftovers(account) == []


def test_the_page_on_rehearsals_deploys_and_destroys(person: Person, account: Clients) -> None:
    *before, destroy = commands(REHEARSE)
    for command in before:
        person.types(command)
    assert len(account.ec2.describe_instances()["Reservations"]) == 4
    person.types(destroy)
    assert account_leftovers(account) == []
