"""A worker that is silent: what its host waits for is said, and the cell goes on."""

from __future__ import annotations

import threading
from pathlib import Path

from tests.machine import wait_for
from tests.workloads.script_world import ScriptWorld
from workloads.md_raid.context import script
from workloads.md_raid.worker_watch import silence_watch

STUCK = "5 (tidemark-worke) D 1 5 5 0"


def test_each_silence_is_told_once_and_none_without_one() -> None:
    told: list[str] = []
    with silence_watch(lambda: "stuck", told.append, silent_s=0.2) as heard:
        for _ in range(5):
            heard()
            threading.Event().wait(0.05)
        assert not told
        wait_for("the first silence", lambda: told == ["stuck"], 5)
        threading.Event().wait(0.3)
        assert told == ["stuck"]
        heard()
        wait_for("the next one", lambda: len(told) == 2, 5)


def test_a_silence_that_ended_while_it_was_described_is_not_told() -> None:
    told: list[str] = []
    described = threading.Event()

    def describe() -> str:
        heard()
        described.set()
        return "at work again"

    with silence_watch(describe, told.append, silent_s=0.2) as heard:
        assert described.wait(5)
        threading.Event().wait(0.1)
        assert not told


def test_what_is_stuck_is_found_in_the_kernel_s_files_alone(tmp_path: Path) -> None:
    world = ScriptWorld(tmp_path)
    for pid, stat, arguments in (
        (5, STUCK, "/var/lib/tidemark/tidemark-worker\0--file\0"),
        (6, "6 (jbd2/ubda-8) D 2 0 0 0", ""),
        (7, "7 (bash) S 1 7 7 0", "bash\0"),
    ):
        folder = f"/proc/{pid}/task/{pid}"
        world.file(f"{folder}/stat", f"{stat}\n")
        world.file(f"{folder}/wchan", "folio_wait_bit")
        world.file(f"{folder}/stack", "[<0>] schedule+0x3c/0x60\n[<0>] folio_wait_bit+0x1/0x2\n")
        world.path(f"/proc/{pid}/cmdline").write_text(arguments)
    world.file("/sys/block/ubda/inflight", "       2        0\n")
    world.file("/sys/block/sda/inflight", "       0        0\n")
    done = world.run(script("client_stuck"))
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines == [
        '{"task": "tidemark-worke", "state": "D", "waits_in": "folio_wait_bit", "stack": "schedule < folio_wait_bit"}',
        '{"task": "jbd2/ubda-8", "state": "D", "waits_in": "folio_wait_bit", "stack": "schedule < folio_wait_bit"}',
        '{"device": "ubda", "reads": 2, "writes": 0}',
        '{"changed": 0}',
    ]
    assert not world.calls, "a program would have to be read from the disk that may not answer"
