"""Runs the project's program without the Pulumi engine, and destroys what it created.

The SDK's mocks pass every resource to the provider that also serves the engine. A journal on disk lists the resources
in the order of their creation, so that another process can destroy them.
"""

from __future__ import annotations

import asyncio
import json
import logging
import runpy
import threading
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import pulumi
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError
from pulumi.runtime.mocks import MockCallArgs, MockMonitor, MockResourceArgs, Mocks

from lab.clients import Clients
from lab.errors import LabError
from lab.paths import PROJECT
from lab.provider import resources
from lab.provider.resource_type import Values
from lab.stacks import Config

log = logging.getLogger("lab.program")


class Journal:
    """The resources that exist: one JSON document a line, appended as soon as a resource is created."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()

    def add(self, token: str, resource_id: str, outputs: Values, *, protected: bool = False) -> None:
        entry = {"type": token, "id": resource_id, "outputs": outputs, **({"protected": True} if protected else {})}
        with self._lock, self._path.open("a") as file:
            file.write(json.dumps(entry) + "\n")

    def entries(self) -> list[dict[str, Any]]:
        if not self._path.exists():
            return []
        lines = self._path.read_text().splitlines(keepends=True)
        return [json.loads(line) for line in lines if line.endswith("\n")]  # a killed writer leaves half a line

    def protected(self) -> dict[str, str]:
        """Returns the names of protected resources, each with its id."""
        return {_name_of(entry): entry["id"] for entry in self.entries() if entry.get("protected")}

    def clear(self) -> None:
        self._path.unlink(missing_ok=True)


def _name_of(entry: dict[str, Any]) -> str:
    return str((entry["outputs"].get("tags") or {}).get("Name", entry["id"]))


class RegionMocks(Mocks):
    """Passes the program's resources to the provider; components need none."""

    def __init__(self, clients: Clients, journal: Journal, say: Callable[[str], None], stop: threading.Event) -> None:
        self._clients = clients
        self._journal = journal
        self._say = say
        self._stop = stop
        self.protected: set[tuple[str, str]] = set()
        """Type and name of protected resources. RegionMonitor adds them: the SDK does not pass the option to mocks."""

    def new_resource(self, args: MockResourceArgs) -> tuple[str | None, dict[Any, Any]]:
        if not args.custom:
            return "", args.inputs
        if self._stop.is_set():
            raise LabError(f"{args.name} ({args.typ}): not created, since the rehearsal stops")
        inputs = resources.with_physical_name(args.typ, dict(args.inputs), args.name)
        try:
            made_id, outputs = resources.create(self._clients, args.typ, inputs)
        except (ClientError, BotoCoreError) as fault:
            raise LabError(f"{args.name} ({args.typ}): {fault}") from fault
        except ResponseParserError as fault:  # no BotoCoreError; its text is the whole page
            raise LabError(f"{args.name} ({args.typ}): the region's API failed; see region.log") from fault
        self._journal.add(args.typ, made_id, outputs, protected=(args.typ, args.name) in self.protected)
        self._say(f"created {args.typ.split(':')[-1]:<26} {args.name} ({made_id})")
        return made_id, outputs

    def call(self, args: MockCallArgs) -> tuple[dict[Any, Any], list[tuple[str, str]] | None]:
        if args.token == resources.PARAMETER:
            try:
                return resources.parameter(self._clients, args.args), []
            except (ClientError, BotoCoreError) as fault:
                return {}, [("name", str(fault))]
        raise LabError(f"{args.token}: the rehearsal region's provider does not know this look-up")


class RegionMonitor(MockMonitor):
    """Notes which resources are protected."""

    def __init__(self, mocks: RegionMocks) -> None:
        super().__init__(mocks)
        self._region_mocks = mocks

    def RegisterResource(self, request: Any) -> Any:
        if request.protect:
            self._region_mocks.protected.add((request.type, request.name))
        return super().RegisterResource(request)  # type: ignore[no-untyped-call]


def run_program(
    stack: str,
    config: Config,
    url: str,
    region: str,
    journal: Journal,
    say: Callable[[str], None],
    stop: threading.Event | None = None,
) -> dict[str, Any]:
    """Runs `__main__.py` for a stack and returns its outputs. Raises LabError with the program's error if it fails.

    Once `stop` is set nothing more is created, and LabError is raised.
    """
    # The SDK waits for its calls on the current thread's event loop.
    loop = asyncio.new_event_loop()
    # A failure is raised once, below; the same failure of dependent resources needs no traceback.
    loop.set_exception_handler(lambda _, context: log.debug("event loop: %s", context.get("message")))
    asyncio.set_event_loop(loop)
    mocks = RegionMocks(Clients(url, region), journal, say, stop or threading.Event())
    monitor = RegionMonitor(mocks)
    pulumi.runtime.set_mocks(mocks, project="tidemark", stack=stack, preview=False, monitor=monitor)
    pulumi.runtime.set_all_config(config)
    outputs: dict[str, Any] = {}
    # The SDK keeps one root for all programs of a process, with the exports of the one before.
    getattr(pulumi.runtime.get_root_resource(), "outputs", {}).clear()

    @pulumi.runtime.test  # type: ignore[untyped-decorator]  # the SDK leaves it without types
    def declare() -> Any:
        runpy.run_path(str(PROJECT / "__main__.py"), run_name="__main__")
        root = pulumi.runtime.get_root_resource()
        exports = getattr(root, "outputs", {})  # of pulumi.runtime.stack.Stack, which the SDK's type does not say
        return pulumi.Output.all(**exports).apply(outputs.update)

    try:
        declare()
    except (pulumi.RunError, LabError) as fault:
        raise LabError(str(fault)) from fault
    finally:
        _finish(loop)
    return outputs


def _finish(loop: asyncio.AbstractEventLoop) -> None:
    """Cancels calls that have not begun and waits for the others.

    A failure ends the program while other threads still create resources; these must be in the journal before anything
    reads it.
    """
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()
    asyncio.set_event_loop(None)


def destroy(
    journal: Journal, url: str, region: str, say: Callable[[str], None], *, named: Collection[str] = ()
) -> None:
    """Deletes everything in the journal, newest first.

    Protected resources that are not among `named` stay in the account and in the journal, and LabError is raised at
    the end. The engine does the same.
    """
    clients = Clients(url, region)
    entries = journal.entries()
    made = {entry["id"] for entry in entries}
    spared = [entry for entry in entries if entry.get("protected") and _name_of(entry) not in named]
    for entry in reversed(entries):
        if entry in spared:
            continue
        if entry["outputs"].get("instanceId") in made:
            continue  # an attachment ends with its instance, as `deleted_with` tells the engine
        resources.delete(clients, entry["type"], entry["id"], entry["outputs"])
    if len(entries) > len(spared):
        count = len(entries) - len(spared)
        say(f"destroyed {count} resource{'' if count == 1 else 's'}")
    journal.clear()
    for entry in spared:
        journal.add(entry["type"], entry["id"], entry["outputs"], protected=True)
    if spared:
        name = f"{_name_of(spared[0])} ({spared[0]['id']})"
        raise LabError(f"{name} is protected, since it may hold a backup: it stays until it is named")
