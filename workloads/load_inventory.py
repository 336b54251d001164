"""Loads a task's inventory: from a Pulumi stack, from a file, or from the running rehearsal region."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from workloads.errors import WorkloadError, last_line
from workloads.lazy_import import lazy_import
from workloads.paths import PROJECT, lab_dir, user_path

if TYPE_CHECKING:
    import inventory as inventories
    from inventory import Inventory
else:
    inventories = lazy_import("inventory")

PULUMI_TIMEOUT_S = 120
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
# Clients of the region have their own values (workloads/aws.py), so these do no harm.
HARMLESS = frozenset({"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION", "AWS_DEFAULT_REGION"})


def load(stack: str | None, file: str | None) -> Inventory:
    """Returns the inventory from `stack`, from `file`, or, with neither, of the running rehearsal.

    Raises WorkloadError or InventoryError.
    """
    if stack is not None and file is not None:
        raise WorkloadError("both --stack and --inventory are given", "give one of them")
    if stack is not None:
        inventory = from_stack(stack)
    elif file is not None:
        inventory = from_file(user_path(file))
    else:
        path = lab_dir() / "inventory.json"
        if not path.is_file():
            raise WorkloadError(
                f"no rehearsal is running ({path} is not there)",
                "give --stack or --inventory, or start one with `make rehearse EXPERIMENT=NAME KEEP=1`",
            )
        inventory = from_file(path)
    if inventory.rehearsal:
        ask_rehearsal_api()
    return inventory


def from_file(path: Path) -> Inventory:
    """Returns the inventory in a file."""
    from documents import read_text  # `fab --list` does without

    try:
        text = read_text(path)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise WorkloadError(
            f"--inventory {path}: cannot be read ({reason})", "give a JSON file as docs/interfaces.md describes"
        ) from error
    return inventories.Inventory.from_json(text, str(path))


def from_stack(stack: str) -> Inventory:
    """Returns the inventory that is an output of a Pulumi stack."""
    if stack.startswith("-") or not stack.strip():
        raise WorkloadError(f"--stack {stack!r} is not a stack's name", "give one that `pulumi stack ls` shows")
    done = run_pulumi(
        *("stack", "output", "inventory", "--json", "--stack", stack),
        remedy="install the Pulumi CLI, or give --inventory with the stack's output",
    )
    if done.returncode:
        raise WorkloadError(
            f"stack {stack}: {last_line(done.stderr) or 'pulumi failed'}",
            f"see `pulumi stack ls`; if it is not up, run `pulumi up -s {stack}`",
        )
    text = done.stdout
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = text
    # The output is the document as one string, which --json quotes once more.
    if isinstance(value, str):
        text = value
    return inventories.Inventory.from_json(text, f"output of stack {stack}")


def run_pulumi(*arguments: str, remedy: str, backend: str | None = None) -> subprocess.CompletedProcess[str]:
    """Runs the Pulumi CLI to its end. Raises WorkloadError where it does not answer, or is missing: with `remedy`."""
    pulumi = shutil.which("pulumi")
    if pulumi is None:
        raise WorkloadError("pulumi is not on PATH", remedy)
    environment = {**os.environ, "PULUMI_SKIP_UPDATE_CHECK": "true"}
    if backend is not None:
        environment["PULUMI_BACKEND_URL"] = backend
    command = [pulumi, *arguments, "--non-interactive"]
    try:
        return subprocess.run(
            command, cwd=PROJECT, env=environment, capture_output=True, text=True, timeout=PULUMI_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        what = f"`pulumi {' '.join(arguments)}`"
        raise WorkloadError(f"{what} has not answered in {PULUMI_TIMEOUT_S} s", "see `pulumi whoami`") from error


def ask_rehearsal_api() -> None:
    """Makes boto3 call the running rehearsal's API and nothing else: removes profiles, proxies, and endpoints that are
    not on loopback from the environment.
    """
    proxy = os.environ.get("https_proxy") or os.environ.get("HTTPS_PROXY")
    for name, value in list(os.environ.items()):
        if _is_removed(name, value):
            del os.environ[name]
    if proxy:
        os.environ.setdefault("PIP_PROXY", proxy)  # for pip, which fetches the AWS CLI's wheels; boto3 ignores it
    os.environ["AWS_CONFIG_FILE"] = os.environ["AWS_SHARED_CREDENTIALS_FILE"] = os.devnull
    os.environ["AWS_EC2_METADATA_DISABLED"] = "true"
    if os.environ.get("AWS_ENDPOINT_URL") or os.environ.get("AWS_ENDPOINT_URL_EC2"):
        return
    try:
        region = json.loads((lab_dir() / "region.json").read_text(encoding="utf-8"))
        os.environ["AWS_ENDPOINT_URL"] = str(region["url"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        # Without an API, tasks do what the inventory allows; the first call that needs the API fails with its own
        # error.
        return


def _is_removed(name: str, value: str) -> bool:
    if name.startswith("AWS_ENDPOINT_URL"):
        return urlsplit(value).hostname not in LOOPBACK
    if name.startswith("AWS_"):
        return name not in HARMLESS
    return name.lower().endswith("_proxy") and name != "PIP_PROXY"
