"""Brings the uploader to the state that the experiment needs. A second run changes nothing.

Its Python environment is made on this machine from PyPI's wheels, pinned by hash, and copied to the host: that needs no
access to PyPI, and its own Python stays as it is. The environment is what `python3 -m venv` makes: a pyvenv.cfg, a link
to the system's interpreter, and site-packages. It holds the AWS CLI, the throttle with the one package that it needs,
and the program that measures a sync (uploader/).
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from workloads.connectors.script import BASH, as_root
from workloads.deployment import Step, install_packages, run_steps
from workloads.errors import WorkloadError, last_line
from workloads.s3_throttle.context import ENVIRONMENT, HERE, SCRIPTS, SOURCE, Context
from workloads.s3_throttle.objects import check_bucket
from workloads.s3_throttle.plan import Plan
from workloads.scripts import find_script

PACKAGES = ("python3", "iproute2")
MODULES = ("sch_tbf",)
"""The queueing discipline of the method `tc`."""
PORT_SECONDS = 10  # S3 answers at once or not at all
FILES_TIMEOUT_S = 900
POOL = f"{SOURCE}/pool"
AWS = f"{ENVIRONMENT}/bin/aws"

LOCK = HERE / "uploader.lock"
PYTHON = "3.11"  # of Debian 12, which the stacks' images are
PLATFORM = "manylinux2014_x86_64"
SITE_PACKAGES = f"lib/python{PYTHON}/site-packages"
WORKLOADS = HERE.parent
OURS = ("__init__.py", "errors.py", "throttle", "s3_throttle/__init__.py", "s3_throttle/uploader")
"""The files of this project that belong to it, below workloads/."""

# Nine tenths of the package by size: manual pages, and the descriptions of other services. `aws s3` asks S3 and, for
# credentials, STS; the others are names that the CLI changes in its list of commands, and must be in it. rich requires
# packages for syntax highlighting and Markdown, which the throttle does not use.
LEFT_OUT = ("awscli/examples", "awscli/topics", "bin", "pygments", "markdown_it", "mdurl")
SERVICES = "awscli/botocore/data"
SERVICES_KEPT = frozenset({"s3", "sts", "codedeploy", "config", "sagemaker-runtime", "sdb", "sms-voice"})

PIP_TIMEOUT_S = 600
SILENCE_S = 300.0
AWS_SCRIPT = f"""#!{ENVIRONMENT}/bin/python3
import sys
from awscli.clidriver import main
sys.exit(main())
"""
CONFIGURATION = "home = /usr/bin\ninclude-system-site-packages = false\n"


def configure(context: Context, plan: Plan) -> int:
    """Brings packages, environment and files to the uploader, and checks the bucket; returns the number of changes."""
    needed = {context.uploader.name: (PACKAGES, MODULES)}
    steps = [
        Step("packages", lambda: install_packages(context, find_script("host_packages", SCRIPTS), needed)),
        Step("environment", partial(bring_environment, context)),
        Step("bucket", partial(reach_bucket, context)),
        Step("files", partial(make_files, context, plan)),
    ]
    return run_steps(context, steps)


def bring_environment(context: Context) -> int:
    """Copies the AWS CLI and the throttle unless the same ones are there."""
    digest, connector = environment_digest(), context.connector
    context.versions["uploader environment"] = digest
    pinned = dict(line.split()[0].split("==") for line in LOCK.read_text().splitlines() if "==" in line)
    context.versions["aws-cli"] = pinned["awscli"]
    seen: list[str] = []
    connector.execute(as_root(connector.user, "cat", f"{ENVIRONMENT}/digest"), seen.append, idle_timeout_seconds=60)
    if seen == [digest]:
        return 0
    install = (
        f"set -e; rm -rf {ENVIRONMENT}.new; mkdir -p {ENVIRONMENT}.new; tar -xzf - -C {ENVIRONMENT}.new; "
        f"rm -rf {ENVIRONMENT}; mv {ENVIRONMENT}.new {ENVIRONMENT}"
    )
    code, words = connector.execute(
        as_root(connector.user, *BASH, install),
        seen.append,
        stdin=environment_archive(digest).read_bytes(),
        idle_timeout_seconds=SILENCE_S,
    )
    if code:
        raise WorkloadError(
            f"the environment could not be put at {ENVIRONMENT} ({last_line(words) or 'no word of why'})",
            "see that the host's disk has room (df), then run again",
            connector.name,
        )
    return 1


def reach_bucket(context: Context) -> int:
    """Checks that the bucket exists, and that the uploader reaches S3. Raises WorkloadError."""
    check_bucket(context)
    endpoint = context.bucket.endpoint or f"https://s3.{context.inventory.region}.amazonaws.com"
    parts = urlsplit(endpoint)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return context.on_uploader("uploader_reach", [str(parts.hostname), str(port), str(PORT_SECONDS)]).changed


def make_files(context: Context, plan: Plan) -> int:
    """Makes the files of the first sync, and notes their SHA-256 in order of their names."""
    count = plan.probe_bytes // plan.object_bytes
    if len(context.sums) == count:
        return 0  # this run has made them
    arguments = [POOL, str(count), str(plan.object_bytes)]
    result = context.on_uploader("uploader_files", arguments, idle_timeout_seconds=FILES_TIMEOUT_S)
    found = sorted((str(fact["object"]), str(fact["sha256"])) for fact in result.facts if "object" in fact)
    context.sums = [sha256 for _, sha256 in found]
    return result.changed


def environment_archive(digest: str) -> Path:
    """Returns the environment of this digest as a gzipped tar archive in the cache (below XDG_CACHE_HOME, or ~/.cache);
    makes it when it is not there. Raises WorkloadError when PyPI can't be reached.
    """
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tidemark" / "uploader"
    path = folder / f"uploader-{digest}.tar.gz"
    if not path.exists():
        _make(path, digest)
    return path


def _our_files() -> Iterator[Path]:
    for name in OURS:
        path = WORKLOADS / name
        yield from sorted(path.rglob("*.py")) if path.is_dir() else [path]


def environment_digest() -> str:
    """Returns a name for what the environment is made of: the lock file, this module, and the project's own files."""
    digest = hashlib.sha256()
    for path in (LOCK, HERE / "configure.py", *_our_files()):
        digest.update(f"{path.relative_to(WORKLOADS)}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def _make(path: Path, digest: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="tidemark-uploader-") as scratch:
        root = Path(scratch)
        site = root / SITE_PACKAGES
        _install(site)
        for name in LEFT_OUT:
            shutil.rmtree(site / name, ignore_errors=True)
        for service in (site / SERVICES).iterdir():
            if service.is_dir() and service.name not in SERVICES_KEPT:
                shutil.rmtree(service)
        for file in _our_files():
            target = site / "workloads" / file.relative_to(WORKLOADS)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)
        _compile(site, bare=[path for path in site.iterdir() if path.is_dir() and path.name != "workloads"])
        (root / "bin").mkdir()
        (root / "bin" / "python3").symlink_to("/usr/bin/python3")
        (root / "bin" / "aws").write_text(AWS_SCRIPT, encoding="ascii")
        (root / "bin" / "aws").chmod(0o755)
        (root / "pyvenv.cfg").write_text(CONFIGURATION, encoding="ascii")
        (root / "digest").write_text(f"{digest}\n", encoding="ascii")
        partial = path.with_name(f".{path.name}.{os.getpid()}")
        with tarfile.open(partial, "w:gz", compresslevel=6) as archive:
            for each in sorted(root.iterdir()):
                archive.add(each, arcname=each.name, filter=_plain)
        partial.replace(path)
    for old in path.parent.glob("uploader-*.tar.gz"):
        if old != path:
            old.unlink(missing_ok=True)


def _install(site: Path) -> None:
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile"]
    command += ["--require-hashes", "--no-deps", "--only-binary", ":all:", "--target", str(site)]
    command += ["--python-version", PYTHON, "--implementation", "cp", "--platform", PLATFORM, "-r", str(LOCK)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PIP_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired as error:
        raise WorkloadError(f"pip has not ended in {PIP_TIMEOUT_S} s", "see that PyPI can be reached") from error
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        raise WorkloadError(
            f"the AWS CLI cannot be had from PyPI ({lines[-1] if lines else 'pip failed'})",
            "see that PyPI can be reached (pip config list), then run again",
        )


def _compile(site: Path, bare: Iterable[Path]) -> None:
    """Compiles to byte code where this Python has the host's version: the host would take seconds for it.

    Packages that are not this project's (`bare`) keep nothing else: half as many files to unpack and to look for.
    """
    if f"{sys.version_info.major}.{sys.version_info.minor}" != PYTHON:
        return
    command = [sys.executable, "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", "-s", str(site)]
    for own in (["-l", str(site)], [str(site / "workloads")]):
        subprocess.run([*command, *own], capture_output=True, check=False)
    for folder in bare:
        subprocess.run([*command, "-b", str(folder)], capture_output=True, check=False)  # beside the source
        for source in folder.rglob("*.py"):
            if source.with_suffix(".pyc").exists():
                source.unlink()


def _plain(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    """Has a file belong to root, whoever made it here, and leaves out its time."""
    entry.uid = entry.gid = entry.mtime = 0
    entry.uname = entry.gname = "root"
    return entry
