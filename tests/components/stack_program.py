"""Runs the Pulumi program, or a component, under mocks, and keeps what it asked for."""

from __future__ import annotations

import base64
import json
import logging
import runpy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pulumi
import yaml
from pulumi.runtime import settings as runtime_settings
from pulumi.runtime.mocks import MockCallArgs, MockMonitor, MockResourceArgs

PROJECT = Path(__file__).parents[2]
IMAGE_ID = "ami-0123456789abcdef0"
PERSON = "93.184.216.34/32"
"""Where the person comes from. Addresses of examples are refused: nothing comes from there."""


def public_key_text(name: str = "ssh-ed25519", length: int = 32) -> str:
    """A well-formed public key that belongs to nobody."""
    raw = name.encode()
    blob = len(raw).to_bytes(4, "big") + raw + length.to_bytes(4, "big") + bytes(length)
    return f"{name} {base64.b64encode(blob).decode()}"


@dataclass
class Resource:
    """One registration, as the engine would have got it."""

    type: str
    name: str
    inputs: dict[str, Any]
    custom: bool
    urn: str = ""
    parent: str = ""
    dependencies: tuple[str, ...] = ()
    ignore_changes: tuple[str, ...] = ()
    deleted_with: str = ""
    protect: bool = False
    delete_before_replace: bool = False


@dataclass
class Run:
    """What a run created, in the order of registration, and what it exported and said."""

    resources: list[Resource] = field(default_factory=list)
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    outputs: dict[str, Any] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)

    def of(self, type_end: str) -> list[Resource]:
        """Resources whose type ends so, for example `:Instance`."""
        return [resource for resource in self.resources if resource.type.endswith(type_end)]

    def one(self, type_end: str) -> Resource:
        (found,) = self.of(type_end)
        return found

    def named(self, name: str) -> Resource:
        (found,) = [resource for resource in self.resources if resource.name == name]
        return found

    def parents(self, name: str) -> list[str]:
        """The types of a resource's parent, of that one's parent, and so on."""
        by_urn = {resource.urn: resource for resource in self.resources}
        found = []
        resource = self.named(name)
        while resource.parent in by_urn:
            resource = by_urn[resource.parent]
            found.append(resource.type)
        return found


class _Mocks(pulumi.runtime.Mocks):
    """A cloud that makes whatever it is asked for; ids are names, addresses are counted."""

    def __init__(self, run: Run, image_error: str | None, preview: bool) -> None:
        self.run = run
        self.image_error = image_error
        self.preview = preview
        self.hosts = 0

    def call(self, args: MockCallArgs) -> Any:
        self.run.calls.append((args.token, args.args))
        if self.image_error:
            # What the engine does with an error of the provider. An exception raised here would end the run.
            return {}, [("name", self.image_error)]
        return {"value": IMAGE_ID}

    def new_resource(self, args: MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        custom = bool(args.custom)
        self.run.resources.append(Resource(args.typ, args.name, args.inputs, custom))
        if not custom:
            return "", args.inputs
        if self.preview:
            # What is not yet there has no id, and no outputs but what was asked for.
            return None, args.inputs
        state = dict(args.inputs)
        if args.typ == "aws:ec2/instance:Instance":
            self.hosts += 1
            state |= {"publicIp": f"192.0.2.{self.hosts}", "privateIp": f"10.20.1.{self.hosts + 9}"}
        if args.typ == "aws:ec2/keyPair:KeyPair":
            state["keyName"] = args.name
        if args.typ == "aws:ec2/placementGroup:PlacementGroup":
            state["name"] = args.name
        if args.typ == "aws:ec2/eip:Eip":
            state["publicIp"] = "192.0.2.200"
        if args.typ in ("aws:iam/role:Role", "aws:iam/instanceProfile:InstanceProfile"):
            state["name"] = args.name
        if args.typ in ("aws:iam/role:Role", "aws:s3/bucket:Bucket"):
            state["arn"] = f"arn:aws:mock:::{args.name}"
        if args.typ == "aws:efs/mountTarget:MountTarget":
            # By name, since registrations come in any order.
            end = args.name.rpartition("-")[2]
            state["ipAddress"] = f"10.20.{end if end.isdigit() else 1}.200"
        return f"id-{args.name}", state


class _Monitor(MockMonitor):
    """Keeps the options, which mocks are not told."""

    def __init__(self, mocks: _Mocks) -> None:
        super().__init__(mocks)
        self.run = mocks.run

    def RegisterResource(self, request: Any) -> Any:
        answer = super().RegisterResource(request)  # type: ignore[no-untyped-call]
        for resource in self.run.resources:
            if (resource.type, resource.name) == (request.type, request.name):
                resource.urn = answer.urn
                resource.parent = request.parent
                resource.dependencies = tuple(request.dependencies)
                resource.ignore_changes = tuple(request.ignoreChanges)
                resource.deleted_with = request.deletedWith
                resource.protect = bool(request.protect)
                resource.delete_before_replace = bool(request.deleteBeforeReplace)
        return answer


class _Lines(logging.Handler):
    def __init__(self, run: Run) -> None:
        super().__init__()
        self.run = run

    def emit(self, record: logging.LogRecord) -> None:
        self.run.lines.append(record.getMessage())


def stack_file(stack: str) -> dict[str, str]:
    """A stack file's settings as the engine hands them over: text, with structured ones as JSON."""
    document = yaml.safe_load((PROJECT / "stacks" / f"Pulumi.{stack}.yaml").read_text())
    return {key: value if isinstance(value, str) else json.dumps(value) for key, value in document["config"].items()}


def config_with(stack: str, changes: Mapping[str, str | None], public_key_file: Path) -> dict[str, str]:
    """The stack file's settings, completed by what a person sets, with the changes (None: removed)."""
    config: dict[str, str] = stack_file(stack) | {
        "tidemark:sshCidr": PERSON,
        "tidemark:sshPublicKeyFile": str(public_key_file),
    }
    for key, value in changes.items():
        if value is None:
            config.pop(key)
        else:
            config[key] = value
    return config


def lab_config(stack: str, endpoint: str, public_key_file: Path) -> dict[str, str]:
    """The stack file's settings of a rehearsal whose region answers at `endpoint`."""
    config = stack_file(stack)
    (endpoints,) = json.loads(config["aws:endpoints"])
    return config | {
        "aws:endpoints": json.dumps([dict.fromkeys(endpoints, endpoint)]),
        "tidemark:sshPublicKeyFile": str(public_key_file),
    }


def start(
    run: Run, stack: str = "md-raid.eu-central-1", *, image_error: str | None = None, preview: bool = False
) -> None:
    """Set the SDK up for one run. In a preview nothing is known of what would be created."""
    logger = logging.getLogger(f"run-{id(run)}")
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logger.addHandler(_Lines(run))
    mocks = _Mocks(run, image_error, preview)
    pulumi.runtime.set_mocks(
        mocks, project="tidemark", stack=stack, preview=preview, logger=logger, monitor=_Monitor(mocks)
    )
    # The SDK keeps one root for all runs of a process, with what an earlier one exported.
    root = runtime_settings.get_root_resource()
    assert isinstance(root, pulumi.runtime.stack.Stack)
    root.outputs.clear()


def run_program(
    run: Run,
    config: Mapping[str, str],
    stack: str = "md-raid.eu-central-1",
    *,
    image_error: str | None = None,
    preview: bool = False,
) -> Run:
    """Run `__main__.py` to its end, or raise what it raised."""
    start(run, stack, image_error=image_error, preview=preview)
    pulumi.runtime.set_all_config(dict(config))

    @pulumi.runtime.test  # type: ignore[untyped-decorator]
    def program() -> Any:
        runpy.run_path(str(PROJECT))
        outputs = runtime_settings.get_root_resource().outputs  # type: ignore[union-attr]
        return pulumi.Output.from_input(outputs).apply(run.outputs.update)

    program()
    return run


def declare(stack: str, public_key_file: Path, **changes: str) -> Run:
    """Run the program of a stack for AWS, with other values of this project's settings."""
    config = config_with(stack, {f"tidemark:{key}": value for key, value in changes.items()}, public_key_file)
    return run_program(Run(), config, stack)


def run_component(make: Callable[[], Any], run: Run | None = None) -> Run:
    """Make a component, wait for all of it. `run` is for what is to be seen after a failure, too."""
    run = run or Run()
    start(run)

    @pulumi.runtime.test  # type: ignore[untyped-decorator]
    def program() -> Any:
        return make()

    program()
    return run
