"""The documented commands that need a region and its hosts, typed one after the other as the documents have them."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import control, program
from lab.leak_check import snapshot_machine
from lab.paths import PROJECT
from lab.stacks import stack_config
from tests.conftest import free_port, require_region
from tests.documented_commands import ON_KERNELS, make_checkout, run_typed, users_environment
from tests.machine import wait_for

pytestmark = [pytest.mark.kernel, pytest.mark.timeout(600)]

PASSPHRASE = "a passphrase for a test"
PROMPTS = ("Passphrase of the backup volume: ", "The same again: ")
# What a command prints, where its exit code does not tell enough.
PRINTS = {
    "make doctor": "this machine can rehearse",
    "fab lab.up": "; `python -m lab down` ends it",
    "fab lab.status": "server ",
    "fab lab.ssh client": "I am root on client",
    "fab lab.down": "left on the machine: nothing",
}


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """A region of this test's own, which ends with it; and a `pulumi` that has one stack, the one in the region."""
    require_region()
    cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    places = {f"TIDEMARK_{name.upper()}_DIR": str(tmp_path / name) for name in ("lab", "results", "state")}
    places |= {"TIDEMARK_LAB_PORT": str(free_port()), "XDG_CACHE_HOME": cache}
    for name, value in places.items():
        monkeypatch.setenv(name, value)
    pulumi = tmp_path / "bin" / "pulumi"
    pulumi.parent.mkdir()
    pulumi.write_text(
        f"#!{sys.executable} -S\nimport pathlib, sys\n"
        "assert sys.argv[1:4] == ['stack', 'output', 'inventory'], sys.argv\n"
        "assert sys.argv[sys.argv.index('--stack') + 1] == 'encrypted-backup.eu-central-1', sys.argv\n"
        f"print(pathlib.Path({str(tmp_path / 'lab/inventory.json')!r}).read_text())\n"
    )
    pulumi.chmod(0o755)
    found = users_environment(tmp_path) | places
    yield found | {"PATH": f"{pulumi.parent}:{found['PATH']}"}
    control.down(lambda _: None)


def deploy() -> None:
    """What `make rehearse EXPERIMENT=encrypted-backup KEEP=1` leaves up, before the tasks have run."""
    region = control.running()
    journal = program.Journal(region.folder / "journal.ndjson")
    config = stack_config("encrypted-backup.lab", region.url)
    outputs = program.run_program("encrypted-backup.lab", config, region.url, region.region, journal, lambda _: None)
    (region.folder / "inventory.json").write_text(str(outputs["inventory"]))
    log_in = [sys.executable, "-m", "lab", "ssh", "client", "true"]
    wait_for("the client answers", lambda: subprocess.run(log_in, cwd=PROJECT, capture_output=True).returncode == 0, 60)


def type_at_a_terminal(command: str, folder: Path, environment: dict[str, str]) -> str:
    """Returns what a command printed on a terminal, where it may ask for the passphrase; it succeeded."""
    ours, its = os.openpty()
    process = subprocess.Popen(
        ["bash", "-c", command],
        cwd=folder,
        env=environment,
        stdin=its,
        stdout=its,
        stderr=its,
        start_new_session=True,  # without the terminal at which the tests were started
    )
    os.close(its)
    printed = ""
    with contextlib.suppress(OSError):  # EIO: the command has ended
        while read := os.read(ours, 1024):
            printed += read.decode(errors="replace")
            if printed.endswith(PROMPTS):
                os.write(ours, f"{PASSPHRASE}\n".encode())
    os.close(ours)
    assert process.wait() == 0, f"{command}\n{printed}"
    return printed


def test_each_command_that_needs_hosts_does_what_the_page_says(environment: dict[str, str], tmp_path: Path) -> None:
    checkout = tmp_path / "checkout"
    make_checkout(checkout)
    before = snapshot_machine(Path(environment["TIDEMARK_LAB_DIR"]))
    printed = {}
    began = time.monotonic()
    for command in ON_KERNELS:
        print(f"{time.monotonic() - began:.0f} s: {command}")
        if command.startswith("fab encrypted-backup."):
            printed[command] = type_at_a_terminal(command, checkout, environment)
            continue
        typed = command.replace("make ", "make --old-file=setup ")  # what is installed is that of this test
        given = 'echo I am "$(sudo whoami)" on "$(hostname)"\n' if command == "fab lab.ssh client" else None
        done = run_typed(typed, checkout, environment, given)
        assert done.returncode == 0, f"{command}\n{done.stdout}"
        printed[command] = done.stdout
        if command == "fab lab.up":
            deploy()
    for command, words in PRINTS.items():
        assert words in printed[command], printed[command]
    assert "cryptsetup" in (checkout / "recovery-sheet.md").read_text()
    assert not any(PASSPHRASE in each for each in printed.values())
    assert snapshot_machine(Path(environment["TIDEMARK_LAB_DIR"])).added_since(before) == []
