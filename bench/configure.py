"""`fab md-raid.configure` on fresh hosts against shell scripts that a person would write for the same.

    python -m bench.configure [--rounds 3]

Each contestant gets hosts of its own, which have booted when its time begins:

- tidemark: the task as a process of its own, from its start to its end, and once more on what it has configured;
- by hand: by_hand/md_raid_server.sh on all servers at once, then by_hand/md_raid_client.sh, each by ssh. They look at
  nothing that a fresh machine doesn't need, and can't be run twice.

They take turns. Printed: each one's median and range, and the ratio of the medians. The aim: 1.2 times the scripts, and
less than 3 s where nothing is to be done. Needs what a rehearsal needs (`make rehearse`); nothing of it is left.
"""

from __future__ import annotations

import shlex
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.measure import argument_parser, median_and_range
from inventory import Inventory
from lab import control, program, stacks
from lab.errors import LabError
from lab.isolation import isolate
from lab.paths import PROJECT
from lab.rehearse import tear_down
from lab.tasks import RegionWatch, run_task
from workloads.md_raid.topology import Topology
from workloads.waiting import wait_until

STACK = "md-raid.lab"
BY_HAND = Path(__file__).resolve().parent / "by_hand"
BOOT_SECONDS = 120


class CommandFailed(Exception):
    """A command on a host ended with an error."""


@dataclass(frozen=True)
class Deployment:
    """Fresh hosts: what watches the region that they are in, and the inventory of their stack."""

    watch: RegionWatch
    inventory: Inventory
    file: Path

    def ssh(self, name: str, words: list[str], script: str = "") -> None:
        """Runs a command on a host, with `script` as its standard input. Raises CommandFailed with its last words."""
        host = self.inventory.host(name)
        command = [*control.ssh_command(self.watch.region, name, host.id, host.address), shlex.join(["sudo", *words])]
        ran = subprocess.run(command, cwd=PROJECT, input=script, capture_output=True, text=True, check=False)
        if ran.returncode:
            raise CommandFailed(f"{name}: {ran.stderr.strip()[-1000:]}")


@contextmanager
def deployment(watch: RegionWatch) -> Iterator[Deployment]:
    """Deploys the stack, and waits until its hosts have booted."""
    region = watch.region
    journal = program.Journal(region.folder / "journal.ndjson")
    config = stacks.stack_config(STACK, region.url)
    outputs: Mapping[str, Any] = program.run_program(STACK, config, region.url, region.region, journal, lambda _: None)
    file = region.folder / "inventory.json"
    file.write_text(str(outputs["inventory"]))
    try:
        made = Deployment(watch, Inventory.from_json(file.read_text(), str(file)), file)
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda host: _await_boot(made, host.name), made.inventory.hosts))
        yield made
    finally:
        program.destroy(journal, region.url, region.region, lambda _: None)


def _await_boot(made: Deployment, name: str) -> None:
    def booted() -> bool:
        made.ssh(name, ["systemctl", "is-system-running", "--wait"])
        return True

    wait_until(booted, timeout_seconds=BOOT_SECONDS, interval_seconds=1, retry_on=(CommandFailed, LabError))


def by_tidemark(made: Deployment) -> dict[str, float]:
    """Returns the seconds of the first run, and of the second."""
    return {
        "tidemark": _seconds(lambda: _configure(made)),
        "tidemark, again": _seconds(lambda: _configure(made)),
    }


def _configure(made: Deployment) -> None:
    if run_task(made.watch, made.file, "md-raid.configure"):
        sys.exit("fab md-raid.configure failed")


def by_hand(made: Deployment) -> dict[str, float]:
    """Returns the seconds of the scripts."""
    topology = Topology.of(made.inventory)
    server, client = ((BY_HAND / f"md_raid_{role}.sh").read_text() for role in ("server", "client"))
    words = {
        each.name: [
            topology.initiator,
            each.private_address,
            *(f"{leg.volume}={leg.iqn}" for leg in topology.legs_of(each.name)),
        ]
        for each in topology.servers
    }
    portals = " ".join(each.private_address for each in topology.servers)
    legs = [" ".join(leg.iqn for leg in mirror.legs) for mirror in topology.mirrors]

    def all_of_it() -> None:
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda name: made.ssh(name, ["bash", "-s", "--", *words[name]], server), words))
        made.ssh(topology.client.name, ["bash", "-s", "--", topology.initiator, portals, *legs], client)

    return {"by hand": _seconds(all_of_it)}


def _seconds(run: Callable[[], None]) -> float:
    began = time.monotonic()
    run()
    return time.monotonic() - began


def main() -> None:
    rounds = argument_parser(__doc__, rounds=3).parse_args().rounds
    isolate()  # as a rehearsal does: else each connection may begin with a version manager's stand-in for python3
    found: dict[str, list[float]] = {}
    region = control.up(stacks.rehearsal_settings("md-raid").region, print)
    try:
        with closing(RegionWatch(region)) as watch:
            for _ in range(rounds):
                for contestant in (by_tidemark, by_hand):
                    with deployment(watch) as made:
                        for name, seconds in contestant(made).items():
                            print(f"{name}: {seconds:.1f} s", flush=True)
                            found.setdefault(name, []).append(seconds)
    finally:
        tear_down(print)
    reference = statistics.median(found["by hand"])
    for name, all_seconds in found.items():
        ratio = f"{statistics.median(all_seconds) / reference:.2f} of by hand"
        print(f"{name:16} {median_and_range(all_seconds, '.1f', ' s')}  {ratio}")


if __name__ == "__main__":
    main()
