"""Host keys for hosts without keys in the inventory: read once from the instance's console, then pinned by instance id.

A host's user data writes its public host keys to the console at first boot. EC2's GetConsoleOutput returns the console
over an authenticated channel, so that even the first connection checks the host's key.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from botocore.exceptions import ClientError

from inventory import Host, Inventory, host_key_fault
from workloads.aws import ec2_client, is_instance_id, one_line
from workloads.errors import WorkloadError
from workloads.paths import state_dir
from workloads.resource_watch import ResourceWatch, last_lines
from workloads.waiting import wait_until

LINE = re.compile(r"tidemark-host-key: ((?:ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp\d+) [A-Za-z0-9+/]+={0,2})")
# EC2 shows a console some minutes after boot; a host of the rehearsal region writes it within seconds.
CONSOLE_TIMEOUT_SECONDS = 900
POLL_SECONDS = 1.0

ReadConsole = Callable[[str], str]
"""Returns the console output of an instance so far."""


def keys_in(console: str) -> tuple[str, ...]:
    """Returns the host keys on a console, in order, each once.

    Only complete lines with a whole key count: a serial console may show a line that is half written, or one that the
    kernel's output interrupts.
    """
    whole, _, _ = console.rpartition("\n")
    found = dict.fromkeys(match.group(1) for match in LINE.finditer(whole))
    return tuple(key for key in found if host_key_fault(key) is None)


def pinned_keys() -> dict[str, list[str]]:
    """Returns all pinned keys by instance id. Raises WorkloadError for a damaged file."""
    path = _pinned_keys_path()
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (ValueError, RecursionError) as error:
        raise WorkloadError(f"{path} is not JSON ({error})", "remove it; keys are read anew") from error
    if not isinstance(document, dict) or not all(
        isinstance(keys, list) and all(isinstance(key, str) for key in keys) for keys in document.values()
    ):
        raise WorkloadError(f"{path} is not a list of keys by instance", "remove it; keys are read anew")
    for instance, keys in document.items():
        if not keys or any(host_key_fault(key) for key in keys):
            raise WorkloadError(
                f"{path} has no whole host key for {instance}", "remove that line; its keys are read anew"
            )
    return document


def pin_keys(host: Host, keys: Sequence[str]) -> None:
    """Pins `keys` for the host. Raises WorkloadError when others are pinned."""
    path, document = _pinned_keys_path(), pinned_keys()
    kept = document.get(host.id)
    if kept is not None and sorted(kept) != sorted(keys):
        raise WorkloadError(
            f"the console of {host.id} shows other host keys than those pinned",
            f"find out why; if the host was replaced, remove {host.id} from {path}",
            host.name,
        )
    document[host.id] = list(keys)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False, encoding="utf-8") as file:
        json.dump(document, file, indent=1, sort_keys=True)
    Path(file.name).replace(path)


def _pinned_keys_path() -> Path:
    return state_dir() / "host-keys.json"


def host_keys(
    inventory: Inventory, *, watch: ResourceWatch | None = None, tell: Callable[[str], None] = print
) -> dict[str, tuple[str, ...]]:
    """Returns the expected keys of each host by name: from the inventory, or pinned before, or from its console.

    Raises WorkloadError when a console shows none in time, and ResourceGone when `watch` finds that an instance has
    ended.
    """
    kept = pinned_keys()
    known = {host.name: host.host_keys or tuple(kept.get(host.id, ())) for host in inventory.hosts}
    unknown = [host for host in inventory.hosts if not known[host.name]]
    for host in unknown:
        if not is_instance_id(host.id):
            raise WorkloadError(
                "host_keys is empty, and its id is not an instance whose console could be read",
                "give host_keys in the inventory: the lines of /etc/ssh/ssh_host_*_key.pub, read on the host",
                host.name,
            )
    if not unknown:
        return known
    read = console_of(inventory.region)
    watch = watch or ResourceWatch(inventory)
    tell(f"host keys    waiting for the consoles of {', '.join(host.name for host in unknown)}")

    def all_known() -> bool:
        for host in tuple(unknown):
            if keys := keys_in(read(host.id)):
                pin_keys(host, keys)
                known[host.name] = keys
                unknown.remove(host)
                tell(f"host keys    {host.name} pinned from the console of {host.id}")
            else:
                watch.check(host.name)
        return not unknown

    if not wait_until(all_known, timeout_seconds=CONSOLE_TIMEOUT_SECONDS, interval_seconds=POLL_SECONDS):
        host = unknown[0]
        raise WorkloadError(
            f"its console shows no host key after {CONSOLE_TIMEOUT_SECONDS} s",
            "see its first boot on its console, below, and the region's log, then rehearse again"
            if inventory.rehearsal
            else "EC2 may take longer: run the task again. It keeps a console for an hour after a boot; if the "
            "host is up for longer, restart it (aws ec2 reboot-instances --instance-ids "
            f"{host.id} --region {inventory.region}), since it shows its keys at each boot, or give "
            "host_keys in the inventory",
            host.name,
            last_lines(read(host.id)),
        )
    return known


def console_of(region: str) -> ReadConsole:
    """Returns a reader of the consoles of instances in `region`.

    It reads the output that EC2 keeps of the last start or restart, which is promised for one hour. Where that has no
    key, it reads the current output (`Latest`), which only instance types built on Nitro have.
    """
    client = ec2_client(region)

    def read(instance_id: str) -> str:
        try:
            with one_line(f"console of {instance_id}"):
                kept = client.get_console_output(InstanceId=instance_id).get("Output", "")
        except WorkloadError as error:  # an inventory that was written by hand may have a made-up id
            raise WorkloadError(error.what, f"{error.remedy}, or give host_keys in the inventory") from error
        if keys_in(kept):
            return kept
        try:
            return client.get_console_output(InstanceId=instance_id, Latest=True).get("Output", "") or kept
        except ClientError:  # another instance type: the first call has succeeded, so it is not a lack of permission
            return kept

    return read
