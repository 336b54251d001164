"""An interruption anywhere loses nothing earlier, leaves nothing open, and the next run goes on."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from lab import control
from lab.clients import Clients
from tests.machine import wait_for
from tests.workloads.encrypted_backup.on_kernels.client import (
    SOURCE,
    VOLUME,
    backed_up,
    in_process,
    nothing_is_open,
    shell,
    something_new,
    succeeded,
)
from tests.workloads.fabric_task import fab
from workloads.encrypted_backup.backup import Sources, add_snapshot, back_up, snapshots_on
from workloads.encrypted_backup.context import Context
from workloads.encrypted_backup.volume import mounted, opened, reach
from workloads.errors import WorkloadError

pytestmark = [pytest.mark.kernel, pytest.mark.timeout(1500)]


@contextmanager
def interrupted_after(context: Context, step: str) -> Iterator[None]:
    """What the block does is interrupted when that step has been done, as Ctrl-C does it."""
    record = context.record

    def stop(event: str, **fields: object) -> None:
        record(event, **fields)
        if event == "step" and fields["name"] == step and not fields["undoing"]:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(context, "record", stop)
        with pytest.raises(KeyboardInterrupt):
            yield


def test_a_run_that_is_interrupted_after_any_step_leaves_nothing_open(
    volume: list[str], made: list[str], context: Context
) -> None:
    """Attached once for all the steps on the disk: that takes the longest."""
    for step in ("claim", "clean", "keep", "attach"):
        with interrupted_after(context, step):
            back_up(context, in_process(), Sources([SOURCE]))
        assert nothing_is_open(context)
    with context.performed(reach(context, stop_server=False)):
        for step in ("open", "check", "mount", "copy", "verify", "publish"):
            with interrupted_after(context, step), context.performed(opened(context, in_process())):
                add_snapshot(context, Sources([SOURCE]), time.monotonic())
            assert shell(context, "grep -c tidemark-backup /proc/mounts; ls /dev/mapper").split() == ["0", "control"]
        with context.performed(opened(context, in_process())):
            there = [snapshot.name for snapshot in snapshots_on(context)]
    assert there[:-1] == made, "an interruption after the last step comes too late for its snapshot, and for no other"
    made.append(there[-1])
    assert nothing_is_open(context)


def test_a_server_that_dies_loses_nothing_earlier(volume: list[str], made: list[str], context: Context) -> None:
    something_new(context)
    region = control.running()
    ec2 = Clients(region.url, region.region).ec2
    context.limit_seconds = 10
    record = context.record

    def die_when_mounted(event: str, **fields: object) -> None:
        record(event, **fields)
        if event == "step" and fields["name"] == "mount":
            ec2.stop_instances(InstanceIds=[context.server_host.id], Force=True)

    context.record = die_when_mounted  # type: ignore[method-assign]
    with pytest.raises(WorkloadError, match=r"the disk under the backup volume (gave errors|has gone)"):
        back_up(context, in_process(), Sources([SOURCE]))
    ec2.get_waiter("instance_stopped").wait(InstanceIds=[context.server_host.id])
    wait_for("nothing is open on the client", lambda: nothing_is_open(context), 120)
    made.append(backed_up(succeeded(fab("encrypted-backup.run", "--source", SOURCE, *volume))))


def test_a_full_volume_is_one_line_and_a_prune_makes_room(volume: list[str], made: list[str], context: Context) -> None:
    """The room is taken by a file in an old snapshot that was never written, which is quicker than a gigabyte through
    the tunnel. What is removed says which snapshots there were: all that the tests before have made, and no other.
    """
    while len(made) < 2:
        made.append(backed_up(succeeded(fab("encrypted-backup.run", "--source", SOURCE, *volume))))
    something_new(context)
    with mounted(context, in_process()):
        free = f"$(df --output=avail -B1 {VOLUME} | tail -n 1)"
        shell(context, f"fallocate -l $(({free} - 30000000)) {VOLUME}/snapshots/{made[0]}/filler")
        with pytest.raises(WorkloadError, match="the backup volume is full; nothing of earlier snapshots is lost"):
            add_snapshot(context, Sources([SOURCE]), time.monotonic())
    assert nothing_is_open(context)
    said = succeeded(fab("encrypted-backup.prune", "--keep-last", "1", *volume))
    assert f"kept 1; removed {', '.join(made[:-1])}\n" in said
    del made[:-1]
    made.append(backed_up(succeeded(fab("encrypted-backup.run", "--source", SOURCE, *volume))))
