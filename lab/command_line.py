"""The rehearsal region from the command line."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from lab import control, service_model
from lab.account import read_account, running_host
from lab.beside import Shared
from lab.clients import Clients
from lab.errors import LabError
from lab.image.build import ensure_image
from lab.isolation import isolate
from lab.paths import PROJECT, chown_all_to_sudo_caller
from lab.preflight import findings, prepare_kernel
from lab.rehearse import rehearse, tear_down
from lab.stacks import rehearsable_experiments

WRITING_COMMANDS = frozenset({"up", "image", "down", "rehearse"})
"""Commands that make files, which are given to the caller of sudo."""

console = Console(highlight=False, soft_wrap=True)


def say(line: str) -> None:
    """Prints a line of progress. Ignores a terminal or pipe that is gone: the work must still end in order."""
    try:
        console.print(line, markup=False)
    except OSError:
        for descriptor in (1, 2):
            os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m lab", description="The rehearsal region on this machine.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    up = commands.add_parser("up", help="start the region; it stays until `down`")
    up.add_argument("--region", default="eu-central-1", help="its AWS name (default: eu-central-1)")
    commands.add_parser("doctor", help="check whether this machine can rehearse")
    commands.add_parser("image", help="fetch the hosts' kernel and build their root image, unless they are there")
    commands.add_parser("down", help="destroy everything and end the region")
    commands.add_parser("status", help="show what runs in the region")
    ssh = commands.add_parser("ssh", help="log in to a host, or run a command there")
    ssh.add_argument("host", help="its name, such as client")
    ssh.add_argument("words", nargs=argparse.REMAINDER, help="a command (default: a shell)")
    model = commands.add_parser("model", help="apply a service model to the region")
    model.add_argument("name", help="none, a name of lab/service_models, or a TOML file")
    job = commands.add_parser("rehearse", help="run experiments from nothing to their reports")
    job.add_argument("experiment", nargs="*", help=f"by default all of {', '.join(rehearsable_experiments())}")
    job.add_argument("--keep", action="store_true", help="leave the region up afterwards")
    job.add_argument("--verbose", action="store_true", help="print each resource and all tables")
    job.add_argument("--plan", help="what is measured: short (default), full, or a TOML file")
    job.add_argument("--shared", type=Path, help=argparse.SUPPRESS)  # for lab/beside.py
    job.add_argument("--model", help="another service model: none, a name of lab/service_models, or a TOML file")
    return parser


def _doctor() -> int:
    faults = 0
    for finding in findings(say):
        faults += finding.is_fault
        mark = "[red]no[/] " if finding.is_fault else "[green]yes[/]"
        console.print(f"{mark} {escape(str(finding))}")
    say('this machine cannot rehearse: each "no" above says why' if faults else "this machine can rehearse")
    return 1 if faults else 0


def _status() -> int:
    region = control.running()
    say(f"region {region.region} at {region.url}, process {region.pid}, folder {region.folder}")
    for host in control.status()["hosts"]:
        state = f"runs (process {host['pid']} inside)" if host["pid"] else "is stopped"
        say(f"{host['name']:<12} {host['address']:<16} {host['id']}  {state}, {len(host['volumes'])} volumes")
    return 0


def _ssh(name: str, words: list[str]) -> int:
    region = control.running()
    host = running_host(read_account(Clients(region.url, region.region)), name)
    command = control.ssh_command(region, name, host.instance_id, str(host.public_address))
    os.chdir(PROJECT)
    os.execvp("ssh", [*command, *words])


def main() -> int:
    """Runs one command and returns its exit code; prints a fault as one line on standard error."""
    arguments = _parser().parse_args(sys.argv[1:] or ["--help"])
    isolate()
    try:
        if arguments.command == "up":
            region = control.up(arguments.region, say)
            say(f"rehearsal region {region.region}: up at {region.url}; `python -m lab down` ends it")
        elif arguments.command == "image":
            ensure_image(prepare_kernel(say), say)
        elif arguments.command == "doctor":
            return _doctor()
        elif arguments.command == "down":
            return 0 if tear_down(say) else 1
        elif arguments.command == "status":
            return _status()
        elif arguments.command == "ssh":
            return _ssh(arguments.host, arguments.words)
        elif arguments.command == "model":
            control.apply_service_model(service_model.load(arguments.name))
        elif arguments.command == "rehearse":
            return rehearse(
                arguments.experiment,
                say,
                keep=arguments.keep,
                plan=arguments.plan,
                model=arguments.model,
                shared=Shared(arguments.shared) if arguments.shared else None,
                verbose=arguments.verbose,
            )
    except LabError as fault:
        print(f"lab: {fault}", file=sys.stderr)
        return 1
    except OSError as fault:  # a folder that can't be made, a full disk, a checkout that can't be written to
        where = f"{fault.filename}: " if fault.filename else ""
        print(f"lab: {where}{fault.strerror or fault}; see that it can be written to and has room", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("lab: interrupted", file=sys.stderr)
        return 130
    finally:
        if arguments.command in WRITING_COMMANDS:
            chown_all_to_sudo_caller()
    return 0
