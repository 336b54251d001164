"""The context of encrypted-backup's tasks: connections, and what the experiment adds to them."""

from __future__ import annotations

import platform
import re
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from workloads.connectors.script import Script, ScriptResult
from workloads.console import Progress, duration_words, si_bytes
from workloads.encrypted_backup import scripts
from workloads.encrypted_backup.passphrase import Passphrase
from workloads.encrypted_backup.reversible import Action, performed
from workloads.iscsi_tunnel.endpoints import LIMIT_SECONDS, TunnelEndpoints
from workloads.power import Power
from workloads.scripts import find_script

SCRIPTS = Path(__file__).parent / "scripts"
# Copying, reading back and checking take as long as the data needs, and print nothing during a large file. Heartbeats
# (workloads/lease.py), and not this limit, find a client that is gone.
LONG_SECONDS = 7 * 24 * 3600.0
# What is shown while an action of this name goes on.
UNDER_WAY = {
    "start": "waiting until the server has started",
    "claim": "claiming the server for this run",
    "clean": "releasing what an earlier run has left",
    "keep": "starting the script that releases the volume if this run is killed",
    "attach": "attaching the disk through the tunnel",
    "format": "formatting the encrypted volume",
    "open": "opening the encrypted volume",
    "file system": "making the file system",
    "check": "checking the file system",
    "mount": "mounting the file system",
    "copy": "copying",
    "verify": "reading back",
    "publish": "naming the snapshot",
    "restore": "restoring",
    "search": "searching the server for known text",
    "recover": "waiting until the blank host has followed the recovery sheet",
    "unmount": "unmounting, which writes what is in memory",
    "close": "closing the encrypted volume",
    "detach": "detaching the disk",
    "let go": "ending the script on the client",
    "stop": "waiting until the server has stopped",
    "give back": "giving up the claim on the server",
}


def script(name: str) -> Script:
    """Returns the script called `name`, with the functions that it may use."""
    return find_script(name, SCRIPTS)


# The modules that a program of scripts/ imports, and that are sent with it; each comes after its own imports.
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
    """Returns the program `name`.py as a script for a host; it is inserted into the script `runner`."""
    modules = {f"{scripts.__name__}.{each}": _program(each) for each in MODULES.get(name, ())}
    program = _LOADED.format(modules=modules, program=_program(name)) if modules else _program(name)
    return Script(runner if runner != "client_python" else name, script(runner).text.replace("@PROGRAM@", program))


def _program(name: str) -> str:
    return (SCRIPTS / f"{name}.py").read_text(encoding="utf-8")


@dataclass(kw_only=True)
class Context(TunnelEndpoints):
    """Server and client, whose volume holds the backups. `run` names in the records what is done.

    `device` is the disk's stable name on the client, once it is attached; requests to it wait `limit_seconds` for a
    lost connection.
    """

    run: str = ""
    device: str = ""
    limit_seconds: int = LIMIT_SECONDS
    _outer: tuple[Progress, str] | None = field(default=None, init=False)  # the line under way, and its own words

    @property
    def power(self) -> Power:
        """Starts and stops the server."""
        return Power(self.hosts, lambda words: self.console.say("server", words))

    @property
    def client_name(self) -> str:
        """The client's name: that in the inventory, or this machine's own."""
        return platform.node() if self.client_host is None else self.client_host.name

    def run_short(self, name: str, arguments: Iterable[str] = (), passphrase: Passphrase | None = None) -> ScriptResult:
        """Runs a script on the client that takes seconds; the next one waits for its end."""
        stdin = None if passphrase is None else passphrase.for_stdin()
        return self.client.run(script(name), arguments, stdin=stdin)

    def run_long(self, what: Script, arguments: Iterable[str] = (), words: str = "") -> ScriptResult:
        """Runs a script on the client that takes as long as the data needs; releasing the volume ends it."""
        with self.under_way(words) as progress:

            def show(line: str) -> None:
                if (so_far := copied(line)) is not None:
                    progress.update(so_far)

            return self.client.run(what, arguments, locked=False, idle_timeout_seconds=LONG_SECONDS, on_line=show)

    @contextmanager
    def under_way(self, words: str) -> Iterator[Progress]:
        """Shows what is being done for the duration of the block; within another one, in the same line."""
        if self._outer is None:
            with self.console.under_way(self.run, words) as progress:
                self._outer = progress, words
                try:
                    yield progress
                finally:
                    self._outer = None
            return
        progress, outer_words = self._outer
        progress.update(words)
        try:
            yield progress
        finally:
            progress.update(outer_words)

    def performed(self, actions: Sequence[Action]) -> AbstractContextManager[None]:
        """Performs the actions as steps, and undoes them after the block."""
        return performed(actions, self.step)

    @contextmanager
    def step(self, name: str, undoing: bool = False) -> Iterator[None]:
        """Shows what the block does while it lasts; then shows and records its outcome, and how long it took."""
        began = time.monotonic()
        fault: str | None = None
        try:
            with self.under_way(UNDER_WAY.get(name, name)):
                yield
        except BaseException as error:
            fault = str(error) or type(error).__name__
            raise
        finally:
            seconds = time.monotonic() - began
            self.console.say(self.run, f"{name:<18} {'failed' if fault else 'done':<8} {seconds:5.1f} s")
            self.record("step", name=name, seconds=round(seconds, 3), undoing=undoing, fault=fault)

    def record(self, event: str, **fields: object) -> None:
        """Adds an event of this run to the results, if any."""
        self.results.append("backup", {"t_unix_s": time.time(), "event": event, "run": self.run, **fields})


# With --info=progress2 and --no-inc-recursive rsync writes `  12,345,678  45%   1.20MB/s    0:00:12 (xfr#5,
# to-chk=12/34)`; the time is what is left, and in the last line what has elapsed (rsync(1), --progress).
_LINE = re.compile(
    r"\s*(?P<bytes>[\d,.]+)\s+(?P<percent>\d+)%\s+\S+/s\s+(?P<hours>\d+):(?P<minutes>\d\d):(?P<seconds>\d\d)"
)


def copied(line: str) -> str | None:
    """Returns the progress that a line of rsync's shows, for a person; None for any other line."""
    found = _LINE.match(line)
    if found is None:
        return None
    done = int(re.sub(r"[,.]", "", found["bytes"]))
    seconds = int(found["hours"]) * 3600 + int(found["minutes"]) * 60 + int(found["seconds"])
    return f"{si_bytes(done)}, {found['percent']} %, {duration_words(seconds)} left"
