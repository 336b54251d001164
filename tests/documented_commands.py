"""The commands that README and docs/ show, where each of them is run, and how a person types it."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

from invoke.exceptions import ParseError
from invoke.parser.context import ParserContext
from invoke.parser.parser import Parser

from docs.generate import arguments_of
from fabfile import namespace
from lab.paths import PROJECT

DOCUMENTS = [
    *sorted(PROJECT.glob("*.md")),
    *sorted((PROJECT / "docs").rglob("*.md")),
    PROJECT / "workloads/throttle/README.md",
]
COMMAND = re.compile(r"(make|pulumi|export|fab|\.venv/bin/\S+|python|scripts/\S+|PATH=\S+ pulumi) (?![=─])")

# Run by tests/test_documented_commands.py, with the exit code.
QUICK = {
    "fab --list": 0,
    "fab claims": 0,
    "fab report": 0,
    "fab report --all": 0,
    "fab report --png": 0,
    "fab report --verbose": 0,
    "fab results": 0,
    'fab results --sql "SELECT cell, sum(ops) / count(*) AS ops_per_s FROM intervals GROUP BY ALL ORDER BY ALL"': 0,
    "fab results --sql \"SELECT record->>'proof' AS proof, count(*) FROM records WHERE stream = 'proofs' "
    'GROUP BY ALL"': 0,
    "fab compare md-raid.eu-central-1 md-raid.us-east-1": 0,
    "fab compare results/md-raid/md-raid.lab/2026-11-23T103000Z md-raid.lab --margin 3": 0,
    "fab compare results/md-raid/md-raid.lab/2026-11-23T103000Z md-raid.lab --margin 10": 0,
    "fab compare BASE NEW || [ $? -ne 4 ]": 0,
    "fab compare BASE BASE-AGAIN --also NEW": 0,
    "fab efs-iops.plan": 0,
    "fab md-raid.plan": 0,
    "fab inventory.example md-raid > hosts.json": 0,
    "python -m workloads.throttle --rate 2MiB/s -- aws s3 sync DIRECTORY s3://BUCKET": 0,
    'python -m workloads.throttle --rate "16 Mbit/s" --pid 13424': 130,
    "python -m workloads.throttle --stop 0.4 --run 0.6 --pid 13424": 130,
    "make schemas docs": 0,
}
# The same, as far as it goes without AWS credentials.
WITHOUT_CREDENTIALS = ("make offers", "python -m aws_offers.renew --dry-run")
# Run by tests/test_documented_commands_on_kernels.py, in this order.
ON_KERNELS = (
    "make doctor",
    "fab lab.up",
    "fab lab.status",
    "fab lab.ssh client",
    "fab encrypted-backup.format --stack encrypted-backup.eu-central-1",
    "fab encrypted-backup.recovery-sheet --stack encrypted-backup.eu-central-1",
    "fab lab.down",
)
# Run by tests/engine/test_documented_commands.py, where the Pulumi CLI is.
BY_ENGINE = r"(export|pulumi|PATH=\S+ pulumi|fab account\.\w+)( .*)?"
NOT_RUN = {
    r"make (setup|setup-tests|setup test|clean)": "installs or removes what the tests run with",
    r"make (schemas|docs)": "a part of `make schemas docs`, which is run",
    r"make (test|test-quick|lint)": "it is what runs this test, or a part of that",
    r"python -m pytest .*": "a part of `make test`",
    r"make rehearse( EXPERIMENT=[\w-]+)?( (KEEP|VERBOSE)=1)?": "takes minutes; "
    "tests/lab/test_rehearse_on_kernels.py runs its shortest",
    r"fab [\w-]+\.(all|drill|collect)( .*)?": "takes minutes, or needs AWS; `make rehearse` runs each of these tasks",
    r"fab encrypted-backup\.(run|list|restore|check) .*": "takes up to half a minute; "
    "tests/workloads/encrypted_backup/on_kernels runs these tasks while the server stays up",
    r"(make lock|scripts/renew-lock --upgrade)": "asks a package index",
}


def typed_in(document: Path) -> list[str]:
    """Returns the commands in a document's code blocks, without their comments, in their order."""
    lines = [line.strip() for line in document.read_text().splitlines() if line.startswith("    ")]
    return [re.sub(r" +# .*", "", line) for line in lines if COMMAND.match(line)]


def commands_of(document: Path) -> set[str]:
    """Returns the commands in code blocks, and those between backticks that are complete; `fab` without its folder."""
    between = re.findall(r"`([^`\n]+)`", re.sub(r"(?m)^    .*$", "", document.read_text()))
    complete = {each for each in map(short, between) if COMMAND.match(each) and is_complete(each)}
    return {short(each) for each in typed_in(document)} | complete


def short(command: str) -> str:
    return command.removeprefix(".venv/bin/")


def is_complete(command: str) -> bool:
    """Whether a person can type it: it does not stand for others, as `fab compare` and `fab report --run RUN` do."""
    program, *words = shlex.split(command)
    if program != "fab":
        return program == "make" or "pytest" in words
    if any(word.isupper() for word in words) or words[0] not in namespace.task_names:
        return words == ["--list"]
    try:
        (task,) = Parser(contexts=[ParserContext(words[0], args=arguments_of(words[0]))]).parse_argv(words)
    except ParseError:
        return False
    return not task.missing_positional_args


def make_checkout(folder: Path) -> None:
    """Makes a copy of this checkout, without its results, for commands that write into it."""
    shutil.copytree(PROJECT, folder, ignore=shutil.ignore_patterns(".*", "results", "tests"), symlinks=True)
    (folder / ".venv").symlink_to(PROJECT / ".venv")


def run_typed(
    command: str, checkout: Path, environment: dict[str, str], given: str | None = None
) -> subprocess.CompletedProcess[str]:
    """Runs a command line as a shell does; standard output and standard error are both in `stdout`."""
    return subprocess.run(
        ["bash", "-c", command],
        cwd=checkout,
        env=environment,
        stdin=subprocess.DEVNULL if given is None else None,
        input=given,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        check=False,
    )


def users_environment(home: Path) -> dict[str, str]:
    """Returns an environment without a region, credentials or a Pulumi login; programs of .venv/bin come first.

    The cache is that of whoever runs the tests: with an empty one each report bundles its script, which takes a second.
    """
    hidden = ("AWS_", "PULUMI_", "TIDEMARK_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(hidden)}
    return kept | {
        "HOME": str(home),
        "XDG_CACHE_HOME": os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache"),
        "PATH": f"{PROJECT / '.venv/bin'}:{os.environ['PATH']}",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
