"""The stacks that can be rehearsed: stacks/Pulumi.EXPERIMENT.lab.yaml, and what the rehearsal of each needs.

Settings of the namespace `rehearsal` are for the rehearsal; the program does not read them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import yaml

from lab.errors import LabError
from lab.paths import PROJECT, lab_dir

SUFFIX = ".lab"
SERVICE_MODEL = "rehearsal:serviceModel"
BESIDE = "rehearsal:beside"
SECONDS = "rehearsal:seconds"

Config = dict[str, str]


@dataclass(frozen=True)
class RehearsalSettings:
    """`service_model` is the one that the experiment's services are held to: a file system after its task `base` has
    measured what an operation takes by itself, block storage and networks from the first boot on. `beside` allows the
    experiment to run while another is measured on this machine. `seconds` is about how long its rehearsal takes, 0
    where that is not known.
    """

    region: str
    service_model: str | None
    beside: bool
    seconds: int


def rehearsable_experiments() -> tuple[str, ...]:
    """Returns the names of the experiments that have a stack for a rehearsal, in alphabetical order."""
    return tuple(stack.removesuffix(SUFFIX) for stack in _stacks() if stack.endswith(SUFFIX))


def rehearsal_settings(experiment: str) -> RehearsalSettings:
    """Returns what the rehearsal of an experiment needs. Raises LabError for a setting that does not exist."""
    config = stack_config(f"{experiment}{SUFFIX}", "http://127.0.0.1")
    for key in config:
        if key.startswith("rehearsal:") and key not in (BESIDE, SECONDS, SERVICE_MODEL):
            raise LabError(
                f"stacks/Pulumi.{experiment}{SUFFIX}.yaml: {key}: not a setting of a rehearsal; "
                f"they are {BESIDE}, {SECONDS} and {SERVICE_MODEL}"
            )
    seconds = config.get(SECONDS, "0")
    if not seconds.isdecimal():
        raise LabError(f"stacks/Pulumi.{experiment}{SUFFIX}.yaml: {SECONDS} is {seconds}; expected a whole number")
    return RehearsalSettings(
        config["aws:region"], config.get(SERVICE_MODEL), config.get(BESIDE) == "true", int(seconds)
    )


def stack_config(stack: str, url: str) -> Config:
    """Returns the stack file's configuration as the engine hands it over, with this region's endpoints and key.

    Raises LabError if the file is missing, is not a stack file, or is for AWS.
    """
    path = PROJECT / "stacks" / f"Pulumi.{stack}.yaml"
    try:
        document = yaml.safe_load(path.read_text())
    except FileNotFoundError:
        raise LabError(f"{stack}: no such stack; there are {', '.join(_stacks())}") from None
    except yaml.YAMLError as fault:
        raise LabError(f"{path}: not YAML: {' '.join(str(fault).split())}") from fault
    config = document.get("config") if isinstance(document, dict) else None
    if not isinstance(config, dict):
        raise LabError(f"{path}: no `config:` in it")
    flat = {key: value if isinstance(value, str) else json.dumps(value) for key, value in config.items()}
    endpoints = config.get("aws:endpoints")
    if not endpoints:
        raise LabError(f"{path}: no aws:endpoints, so this stack is for AWS; a rehearsal needs one that ends in .lab")
    flat["aws:endpoints"] = json.dumps([dict.fromkeys(entry, url) for entry in endpoints])
    flat["tidemark:sshPublicKeyFile"] = str(lab_dir() / "id_ed25519.pub")
    return flat


def _stacks() -> list[str]:
    files = (PROJECT / "stacks").glob("Pulumi.*.yaml")
    return sorted(path.name.removeprefix("Pulumi.").removesuffix(".yaml") for path in files)
