"""Rehearses experiments in a second region, beside the region of this process.

These are experiments whose figures do not depend on how fast this machine is (`rehearsal:beside` in their stack files):
a link that is held to a rate, a silence of seconds, a backup that is compared and not timed. The second region starts
with the longest; the first one takes the shortest that are left when its own experiments have ended.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lab.errors import LabError
from lab.isolation import users_proxies
from lab.outcomes import Outcome, read_outcomes
from lab.paths import PROJECT, chown_to_sudo_caller, lab_dir
from lab.preflight import MEMORY_BYTES, available_memory_bytes, listen
from lab.stacks import RehearsalSettings

REHEARSE = ("setpriv", "--pdeathsig", "TERM", "--", sys.executable, "-m", "lab", "rehearse")
LOOK_SECONDS = 0.2
STOP_SECONDS = 60  # an experiment's tasks end in order, and its region after them


def room_for_two_regions() -> bool:
    """Returns whether this machine has a CPU and the memory for a second region."""
    return len(os.sched_getaffinity(0)) > 1 and available_memory_bytes() >= 2 * MEMORY_BYTES


def split(settings: Mapping[str, RehearsalSettings]) -> tuple[list[str], list[str]]:
    """Divides experiments into those that run in this region, one at least, and those that may run beside it, the
    longest first.
    """
    if not room_for_two_regions():
        return list(settings), []
    beside = sorted((each for each in settings if settings[each].beside), key=lambda each: -settings[each].seconds)
    here = [each for each in settings if each not in beside]
    return (here, beside) if here else (list(settings), [])


@dataclass(frozen=True)
class Shared:
    """The folder by which two processes divide experiments: the one that makes an experiment's file runs it. The second
    writes its outcomes there.
    """

    folder: Path

    @property
    def outcomes(self) -> Path:
        return self.folder / "outcomes.json"

    def take(self, experiment: str) -> bool:
        """Returns whether the experiment was nobody's and is this process's now."""
        try:
            (self.folder / experiment).touch(exist_ok=False)
        except FileExistsError:
            return False
        return True


class Beside:
    """A rehearsal of experiments in a process and a region of its own. It ends in order when this process ends.

    It leaves out those that this process takes from what they have `shared` first.
    """

    def __init__(self, experiments: Sequence[str], *, verbose: bool = False) -> None:
        folder = lab_dir()
        self._experiments = experiments
        self._verbose = verbose
        its_own = folder.with_name(f"{folder.name}-beside")
        self.log = folder.with_name(f"{its_own.name}.log")
        self.shared = Shared(folder.with_name(f"{its_own.name}-shared"))
        self._remove_files()
        self.shared.folder.mkdir(parents=True)
        self._began = time.monotonic()
        with users_proxies(), listen(0) as port:  # a free one
            region = {"TIDEMARK_LAB_DIR": str(its_own), "TIDEMARK_LAB_PORT": str(port.getsockname()[1])}
            environment = {**os.environ, **region}
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [*REHEARSE, *experiments, "--shared", str(self.shared.folder), *(["--verbose"] if verbose else [])],
                cwd=PROJECT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C comes to this process, which hands it on
            )
        chown_to_sudo_caller(self.log)

    def follow(self, say: Callable[[str], None], run_here: Sequence[str] = ()) -> tuple[list[Outcome], bool]:
        """Prints its lines until it has ended; returns the outcomes of its experiments, without those that were
        `run_here`, and whether nothing is left of it.

        What it printed before this call is left out, unless it fails or all lines are wanted.
        """
        its_own = [each for each in self._experiments if each not in run_here]
        with self.log.open(encoding="utf-8", errors="replace") as log:
            goes_on = self._process.poll() is None
            earlier = log.read()
            if self._verbose or goes_on:
                say(f"second region: output of {', '.join(its_own)}" + ("" if self._verbose else ", from here on"))
            if self._verbose:
                print(earlier, end="", flush=True)
            while True:
                ended = self._process.poll() is not None
                if text := log.read():
                    print(text, end="", flush=True)
                if ended:
                    break
                time.sleep(LOOK_SECONDS)
        if self._process.returncode and not self._verbose:
            say("second region: what it printed before")
            print(earlier, end="", flush=True)
        try:
            outcomes = read_outcomes(self.shared.outcomes)
        except LabError as fault:
            seconds = time.monotonic() - self._began
            outcomes = [Outcome(each, seconds, None, str(fault)) for each in its_own]
        clean = self._process.returncode == 0 or not all(each.done for each in outcomes)
        self._remove_files()
        return outcomes, clean

    def stop(self) -> None:
        """Ends it in order; does nothing if it has ended."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()  # its region sees the pipe close, and ends
                self._process.wait()
        self._remove_files()

    def _remove_files(self) -> None:
        self.log.unlink(missing_ok=True)
        shutil.rmtree(self.shared.folder, ignore_errors=True)
