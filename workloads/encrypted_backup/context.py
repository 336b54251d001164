"""What a task of encrypted-backup works with."""

from __future__ import annotations

import platform
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from inventory import Host
from workloads.connectors.base import Connector
from workloads.connectors.script import Script, ScriptResult
from workloads.console import Progress
from workloads.deployment import Deployment
from workloads.encrypted_backup import scripts
from workloads.encrypted_backup.passphrase import Passphrase
from workloads.encrypted_backup.progress import copied
from workloads.encrypted_backup.settings import LONG_SECONDS, SCRIPTS
from workloads.encrypted_backup.stages import Step
from workloads.iscsi_tunnel.ends import Ends
from workloads.iscsi_tunnel.settings import LIMIT_SECONDS
from workloads.power import Power
from workloads.scripts import find_script


def script(name: str) -> Script:
    """The script called `name`, with the functions that all share."""
    return find_script(name, SCRIPTS)


# The modules that a program of scripts/ imports, each after those that it imports itself: they are sent with it.
MODULES = {
    "manifest": ("entries", "selection", "manifest_format", "manifest_writer"),
    "copy_plan": ("entries", "selection", "manifest_format"),
}
_LOADED = """import sys, types
for name, text in {modules!r}.items():
    module = sys.modules[name] = types.ModuleType(name)
    exec(compile(text, name, "exec"), module.__dict__)
exec({program!r})"""


def host_program(name: str, runner: str = "client_python") -> Script:
    """The program `name`.py, as a script that runs it on a host; `runner` is the script that it is put into."""
    modules = {f"{scripts.__name__}.{each}": _program(each) for each in MODULES.get(name, ())}
    program = _LOADED.format(modules=modules, program=_program(name)) if modules else _program(name)
    return Script(runner if runner != "client_python" else name, script(runner).text.replace("@PROGRAM@", program))


def _program(name: str) -> str:
    return (SCRIPTS / f"{name}.py").read_text(encoding="utf-8")


@dataclass(kw_only=True)
class Context(Deployment):
    """The deployment with its server and client, which is None for the machine that the tasks run on.

    `run` names what is done in the records, `steps` are those so far; `device` is the disk's stable name on the client,
    once it is attached; what is asked of it waits `limit_seconds` for a lost connection.
    """

    client_host: Host | None
    run: str = ""
    device: str = ""
    limit_seconds: int = LIMIT_SECONDS
    steps: list[Step] = field(default_factory=list)

    @property
    def ends(self) -> Ends:
        """Server and client, as iscsi-tunnel has them."""
        return Ends(self, self.client_host)

    @property
    def server(self) -> Host:
        """The server, with its address as it is now."""
        return self.ends.server_host

    @property
    def power(self) -> Power:
        """What starts and stops the server."""
        return Power(self.hosts, lambda words: self.console.say("server", words))

    @property
    def on_client(self) -> Connector:
        """The client; a connection to it is made anew when it was lost."""
        return self.ends.client

    @property
    def client_name(self) -> str:
        """The client's name: that of the inventory, or this machine's own."""
        return platform.node() if self.client_host is None else self.client_host.name

    def brief(self, name: str, arguments: Iterable[str] = (), passphrase: Passphrase | None = None) -> ScriptResult:
        """Runs a script on the client that takes seconds; another one waits for its end."""
        stdin = None if passphrase is None else passphrase.for_stdin()
        return self.on_client.run(script(name), arguments, stdin=stdin)

    def long(self, what: Script, arguments: Iterable[str] = (), words: str = "") -> ScriptResult:
        """Runs a script on the client that takes as long as there is data; releasing the volume ends it."""
        with self.console.under_way(self.run, words) as progress:
            return self.on_client.run(
                what,
                arguments,
                locked=False,
                idle_timeout_seconds=LONG_SECONDS,
                on_line=lambda line: _show(progress, line),
            )

    def note(self, step: Step) -> None:
        """Shows a step, and keeps it."""
        self.steps.append(step)
        ended = "failed" if step.fault else "done"
        self.console.say(self.run, f"{step.name:<18} {ended:<8} {step.seconds:5.1f} s")
        self.record("step", name=step.name, seconds=round(step.seconds, 3), undoing=step.undoing, fault=step.fault)

    def record(self, event: str, **fields: object) -> None:
        """Adds an event of this run to the results."""
        self.results.append("backup", {"t_unix_s": time.time(), "event": event, "run": self.run, **fields})


def _show(progress: Progress, line: str) -> None:
    if (so_far := copied(line)) is not None:
        progress.update(so_far.words)
