"""Shared by every test: nothing of the user's own SSH or AWS set-up reaches a test; and the region with md-raid."""

from __future__ import annotations

import functools
import gc
import os
import signal
import socket
import socketserver
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import botocore.loaders
import pytest
import werkzeug.serving
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadFileScheduling  # type: ignore[import-untyped]  # it has no types

from lab import control, program
from lab.clients import environment
from lab.errors import LabError
from lab.isolation import complete_path
from lab.leak_check import snapshot_machine
from lab.paths import chown_all_to_sudo_caller
from lab.preflight import check_machine, processor
from lab.rehearse import tear_down
from lab.stacks import stack_config
from tests.machine import wait_for

# As in the Makefile: many images of Python set it, and each process that a test starts would compile what it imports,
# boto3 for 0.7 s and pulumi_aws for four. The workers of pytest-xdist start after this, without it.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
# As in a rehearsal (lab/isolation.py).
complete_path()

# botocore reads EC2's model, megabytes of JSON, for each session, and moto makes three when it is imported.
_load_file = functools.cache(botocore.loaders.JSONFileLoader().load_file)
setattr(botocore.loaders.JSONFileLoader, "load_file", lambda _, path: _load_file(path))  # noqa: B010  # for mypy

# HYPOTHESIS_PROFILE=thorough asks for five times as many examples.
PROFILE = os.environ.get("HYPOTHESIS_PROFILE", "quick")
THOROUGH = PROFILE == "thorough"

# How long an example takes, or takes to make, says how busy the machine is.
for name, examples in (("quick", 40), ("thorough", 200)):
    settings.register_profile(name, max_examples=examples, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile(PROFILE)

AWS_VARIABLES = (
    "AWS_PROFILE",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_ENDPOINT_URL",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
)
# Importing all others' modules takes each worker eight seconds of CPU time.
KERNEL_FILES_END = "_on_kernels.py"
LAB_VARIABLES = ("TIDEMARK_LAB_DIR", "TIDEMARK_LAB_PORT")
# What a worker takes at once, by its files: tests of one stack, which the worker deploys once; None where each test has
# a region of its own, and may be any worker's. The longest come first, so that all workers end at about the same time;
# but units of one stack follow each other, or a worker would come back to a stack that it has destroyed. A worker that
# is alone takes all in this order: the hosts of md-raid before something listens on them, and encrypted-backup's volume
# last as what another program made of it. (The groups of pytest-xdist 3.8 get lost in pytest 9.)
UNITS = {
    "test_network_on_kernels.py": "md-raid, its hosts",
    "test_region_on_kernels.py": "md-raid, its hosts",
    "test_block_limits_on_kernels.py": "md-raid, its hosts",
    "test_md_raid_on_kernels.py": "md-raid",
    "test_file_server_on_kernels.py": "efs-iops",
    "test_efs_iops_on_kernels.py": "efs-iops",
    "test_interruptions_on_kernels.py": "encrypted-backup",
    "test_killed_runs_on_kernels.py": "encrypted-backup",
    "test_restoring_on_kernels.py": "encrypted-backup, restored",
    "test_s3_throttle_on_kernels.py": "s3-throttle",
    "test_iscsi_tunnel_on_kernels.py": "iscsi-tunnel",
    "test_eip_region_on_kernels.py": "eip-region",
    "test_rehearse_on_kernels.py": None,
    "test_added_experiment_on_kernels.py": None,
    "test_region_end_on_kernels.py": None,
    "test_host_end_on_kernels.py": None,
    "test_documented_commands_on_kernels.py": None,
}


class StackScheduling(LoadFileScheduling):  # type: ignore[misc]  # nor has this
    """Each worker takes a unit at a time; a file that is not in UNITS is one."""

    def _split_scope(self, nodeid: str) -> str:
        file: str = super()._split_scope(nodeid)
        return UNITS.get(Path(file).name, file) or nodeid

    def _reschedule(self, node: Any) -> None:
        """Gives a worker its next unit when it waits for one, which it does before the last test of a unit.

        xdist does so two tests earlier, minutes in which another worker may come to need that unit.
        """
        if not self.workqueue or self._pending_of(self.assigned_work[node]) <= 1:
            super()._reschedule(node)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> StackScheduling | None:
    return StackScheduling(config, log) if config.getvalue("dist") == "loadfile" else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests on real kernels come last: the quick ones fail first, and none is slowed down by hosts that wait.

    Among them the order is that of UNITS: the session's region holds one stack at a time.
    """
    order = list(UNITS)

    def rank(item: pytest.Item) -> int:
        if item.get_closest_marker("kernel") is None:
            return -1
        if not item.path.name.endswith(KERNEL_FILES_END):
            raise pytest.UsageError(f"{item.path}: make test looks for tests on kernels in *{KERNEL_FILES_END} alone")
        if item.path.name not in UNITS:
            raise pytest.UsageError(f"{item.path}: add it to UNITS in tests/conftest.py, where it is to be run")
        return order.index(item.path.name)

    items.sort(key=rank)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What has been imported stays, and no search for garbage goes through it: an eighth of the CPU time."""
    gc.disable()
    collected = yield
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000)  # instead of 700 new objects: hypothesis is called at each search
    gc.enable()
    return collected


def pytest_report_header() -> str:
    return f"processor: {len(os.sched_getaffinity(0))} x {processor()}"


def pytest_sessionfinish() -> None:
    """Nor does the search with which Python ends."""
    gc.freeze()


def pytest_unconfigure(config: pytest.Config) -> None:
    """What root wrote for the tests belongs to whoever called sudo."""
    if not hasattr(config, "workerinput"):  # pytest-xdist's workers end before the one that started them
        chown_all_to_sudo_caller()


@pytest.fixture(scope="session", autouse=True)
def _make_once() -> Iterator[None]:
    from tests.made_once import make_once  # imports moto, which what starts pytest-xdist's workers does not need

    with pytest.MonkeyPatch.context() as patch:
        make_once(patch)
        yield


@pytest.fixture(scope="session", autouse=True)
def _stop_servers_at_once() -> Iterator[None]:
    """Servers look every 0.5 s whether they should stop, and each test with one would wait for that."""
    with pytest.MonkeyPatch.context() as patch:
        for server in (socketserver.BaseServer, werkzeug.serving.BaseWSGIServer):
            patch.setattr(server.serve_forever, "__defaults__", (0.02,))
        yield


@pytest.fixture(scope="session", autouse=True)
def _hear_the_keyboard() -> None:
    """What a shell runs in the background ignores Ctrl-C, and so would every process that a test starts."""
    for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGQUIT, signal.SIG_DFL)):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, handler)


@pytest.fixture(autouse=True)
def _shield_from_the_user(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the user's agent, SSH configuration, AWS profile, region nor Pulumi login may decide a test.

    A test of the shared region keeps that region's variables: `region` sets them until the session ends, and here they
    are hidden from every other test.
    """
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    if "region" in request.fixturenames:
        return
    for name in (*AWS_VARIABLES, *LAB_VARIABLES):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


def free_port() -> int:
    """A loopback port on which nobody listens now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def require_region() -> None:
    """Skip where this machine can't run a region, with the reason."""
    if os.geteuid() != 0:
        pytest.skip("not root: the region's network takes it (make test asks for sudo)")
    try:
        check_machine()
    except LabError as missing:
        pytest.skip(f"no region can run here: {missing}")


@contextmanager
def on_own_cpu() -> Iterator[None]:
    """What starts in the block, a region and its hosts, keeps to one CPU where each of several workers has a region.

    Those that wait for each other are then on the same CPU, and those that do not are not.
    """
    cpus = sorted(os.sched_getaffinity(0))
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    if worker is None or int(os.environ["PYTEST_XDIST_WORKER_COUNT"]) == 1:
        yield
        return
    os.sched_setaffinity(0, {cpus[int(worker.removeprefix("gw")) % len(cpus)]})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cpus)


@pytest.fixture(scope="session")
def region(tmp_path_factory: pytest.TempPathFactory) -> Iterator[control.Running]:
    """A region of this session's own, in which stacks are deployed as tests need them.

    TIDEMARK_LAB_DIR, TIDEMARK_LAB_PORT and the AWS_* variables lead to it in every test and fixture that uses this one.
    Its end is a test, too: nothing may be left in the account or on the machine.
    """
    require_region()
    folder = tmp_path_factory.mktemp("lab")
    machine_before = snapshot_machine(folder)
    said: list[str] = []
    # The region ends when the writing end closes, and that happens however this process ends.
    lifeline, held = os.pipe()
    with pytest.MonkeyPatch.context() as variables:
        for name in AWS_VARIABLES:
            variables.delenv(name, raising=False)
        variables.setenv("TIDEMARK_LAB_DIR", str(folder))
        variables.setenv("TIDEMARK_LAB_PORT", str(free_port()))
        try:
            with on_own_cpu():
                running = control.up("eu-central-1", said.append, lifeline=lifeline)
            for name, value in environment(running.url, running.region).items():
                variables.setenv(name, value)
            yield running
        finally:
            clean = tear_down(said.append, machine_before=machine_before)
            os.close(lifeline)
            os.close(held)
        assert clean, "\n".join(said)


def deploy(region: control.Running, stack: str) -> Path:
    """The inventory of a stack that is deployed in the region, instead of what was; its hosts may still be booting.

    One at a time: every stack has the same addresses, and the region's network does not keep VPCs apart.
    """
    journal = program.Journal(region.folder / "journal.ndjson")
    program.destroy(journal, region.url, region.region, lambda _: None, named=journal.protected())
    wait_for("the last stack's hosts are gone", lambda: control.status()["hosts"] == [], 120)
    config = stack_config(stack, region.url)
    outputs = program.run_program(stack, config, region.url, region.region, journal, lambda _: None)
    inventory = region.folder / f"{stack}.json"
    inventory.write_text(str(outputs["inventory"]))
    return inventory


def deployed(stack: str) -> Any:
    """A fixture: the inventory of that stack in the session's region."""

    @pytest.fixture(scope="session")
    def inventory(region: control.Running) -> Path:
        return deploy(region, stack)

    return inventory


md_raid_region = deployed("md-raid.lab")
efs_iops_region = deployed("efs-iops.lab")
iscsi_tunnel_region = deployed("iscsi-tunnel.lab")
eip_region_region = deployed("eip-region.lab")
encrypted_backup_region = deployed("encrypted-backup.lab")
s3_throttle_region = deployed("s3-throttle.lab")
