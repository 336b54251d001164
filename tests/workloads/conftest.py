"""Fixtures of the tests of the tasks."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from inventory import Inventory
from tests.workloads.fake_clock import FakeClock
from tests.workloads.fakes import inventory_document, inventory_of
from workloads import waiting
from workloads.md_raid.topology import Topology


@pytest.fixture(autouse=True)
def _own_directories(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test writes lies in its own directory, never among a person's results and pinned keys."""
    monkeypatch.setenv("TIDEMARK_RESULTS_DIR", str(tmp_path / "results"))
    if "region" not in request.fixturenames:
        monkeypatch.setenv("TIDEMARK_STATE_DIR", str(tmp_path / "state"))
        monkeypatch.setenv("TIDEMARK_LAB_DIR", str(tmp_path / "no-lab"))


@pytest.fixture(autouse=True)
def _own_signals() -> Iterator[None]:
    """A task that a test calls handles signals that end it, and a process that a later test forks would, too."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def inventory() -> Inventory:
    """An inventory that fits md-raid."""
    return inventory_of(inventory_document())


@pytest.fixture
def topology(inventory: Inventory) -> Topology:
    """Its topology."""
    return Topology.of(inventory)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    """The clock of all that waits by wait_until: sleeping takes no time."""
    fake = FakeClock()
    monkeypatch.setattr(waiting, "time", fake)
    return fake
