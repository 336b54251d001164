"""Stages: entered in order, left in reverse, whichever of them fails."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import pytest

from workloads.encrypted_backup.reversible import Action, performed
from workloads.errors import WorkloadError

NAMES = ("start", "attach", "open", "mount")


class Step(NamedTuple):
    name: str
    undoing: bool
    failed: bool


class World:
    """Stages that note what happens to them; those named in `broken` fail, `-name` when they are left."""

    def __init__(self, *broken: str, fault: type[BaseException] = WorkloadError) -> None:
        self.broken = broken
        self.fault = fault
        self.events: list[str] = []
        self.steps: list[Step] = []

    @contextmanager
    def step(self, name: str, undoing: bool) -> Iterator[None]:
        failed = True
        try:
            yield
            failed = False
        finally:
            self.told(Step(name, undoing, failed))

    def told(self, step: Step) -> None:
        self.steps.append(step)

    def act(self, event: str) -> None:
        self.events.append(event)
        if event in self.broken:
            raise self.fault(f"{event} is broken", "") if self.fault is WorkloadError else self.fault(event)

    def stages(self) -> list[Action]:
        return [self.stage(name) for name in NAMES]

    def stage(self, name: str) -> Action:
        return Action(name, lambda: self.act(name), f"-{name}", lambda: self.act(f"-{name}"))

    def run(self) -> None:
        with performed(self.stages(), self.step):
            self.act("work")


def test_all_goes_well() -> None:
    world = World()
    world.run()
    assert world.events == [*NAMES, "work", "-mount", "-open", "-attach", "-start"]
    assert [step.name for step in world.steps] == [event for event in world.events if event != "work"]
    assert [step.undoing for step in world.steps] == [False] * 4 + [True] * 4
    assert not any(step.failed for step in world.steps)


@pytest.mark.parametrize("fault", [WorkloadError, OSError, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("broken", [*NAMES, "work"])
def test_what_was_entered_is_left_in_reverse_wherever_it_fails(broken: str, fault: type[BaseException]) -> None:
    world = World(broken, fault=fault)
    with pytest.raises(fault):
        world.run()
    done = [*NAMES, "work"][: [*NAMES, "work"].index(broken)]
    assert world.events == [*done, broken, *(f"-{name}" for name in reversed(done))]


def test_a_stage_that_can_not_be_left_keeps_no_other_from_being_left(capsys: pytest.CaptureFixture[str]) -> None:
    world = World("-mount", "-attach")
    with pytest.raises(WorkloadError, match="-mount is broken"):
        world.run()
    assert world.events[-4:] == ["-mount", "-open", "-attach", "-start"]
    assert [step.name for step in world.steps if step.failed] == ["-mount", "-attach"]


def test_the_first_fault_is_raised_and_those_of_leaving_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    world = World("work", "-open")
    with pytest.raises(WorkloadError, match="work is broken"):
        world.run()
    assert "while undoing: -open is broken" in capsys.readouterr().err


@pytest.mark.parametrize("fault", [WorkloadError, KeyboardInterrupt])
def test_what_can_be_undone_half_done_is(fault: type[BaseException]) -> None:
    world = World("attach", fault=fault)
    attach = dataclasses.replace(world.stage("attach"), undo_half_done=True)
    with pytest.raises(fault), performed([world.stage("start"), attach], world.step):
        pytest.fail("it was entered")
    assert world.events == ["start", "attach", "-attach", "-start"]


@pytest.mark.parametrize("half", [False, True])
def test_an_interrupt_that_comes_when_a_stage_is_done_and_told_leaves_it(
    half: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World()

    def told(step: Step) -> None:
        if step.name == "attach":
            raise KeyboardInterrupt

    monkeypatch.setattr(world, "told", told)
    attach = dataclasses.replace(world.stage("attach"), undo_half_done=half)
    with pytest.raises(KeyboardInterrupt), performed([attach], world.step):
        pytest.fail("it was entered")
    assert world.events == ["attach", "-attach"]


def test_a_stage_without_an_undoing_is_only_done() -> None:
    world = World()
    with performed([Action("look", lambda: world.act("look")), world.stage("open")], world.step):
        pass
    assert world.events == ["look", "open", "-open"]
