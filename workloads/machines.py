"""Where a script may run: a host of the inventory, over SSH, or the machine that the tasks run on."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from typing import Protocol

from workloads.connections import SCRIPT_TIMEOUT_S, Script, ScriptResult, facts_in, script_command, script_error
from workloads.errors import WorkloadError

HERE = "this machine"


class Machine(Protocol):
    """What runs a script as root and gives back its facts; a failure is one line. `connections.Remote` is one."""

    @property
    def name(self) -> str:
        """How messages call it."""

    def run(
        self, script: Script, arguments: Iterable[str] = (), *, locked: bool = True, timeout_s: float = SCRIPT_TIMEOUT_S
    ) -> ScriptResult:
        """Runs the script to its end; `locked`, when no other that is so runs there."""


class ThisMachine:
    """The machine that the tasks run on: scripts get the same command line here, by sudo where that is needed."""

    name = HERE

    def __init__(self, user: str) -> None:
        self._user = user

    def run(
        self, script: Script, arguments: Iterable[str] = (), *, locked: bool = True, timeout_s: float = SCRIPT_TIMEOUT_S
    ) -> ScriptResult:
        """Runs the script to its end; `locked`, when no other that is so runs there."""
        command = script_command(script.name, list(arguments), self._user, locked=locked)
        try:
            done = subprocess.run(
                ["bash", "-c", command],
                input=script.text,
                capture_output=True,
                text=True,
                timeout=timeout_s,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise WorkloadError(
                f"{script.name} has not ended in {timeout_s:g} s",
                "see what it waits for (ps), and run the task again",
                HERE,
            ) from None
        if done.returncode:
            raise script_error(HERE, script.name, done.returncode, done.stderr)
        return ScriptResult(HERE, done.stdout, done.stderr, facts_in(done.stdout))
