"""A run that is killed is undone by what it left on the client, when its lease has ended; and the next goes on."""

from __future__ import annotations

import signal
import time

import pytest

from tests.workloads.encrypted_backup.on_kernels.client import (
    SOURCE,
    backed_up,
    begun,
    killed,
    names,
    refused,
    something_new,
    succeeded,
)
from tests.workloads.fabric_task import fab
from workloads.encrypted_backup.context import Context

pytestmark = [pytest.mark.kernel, pytest.mark.timeout(1500)]


def test_a_run_that_is_killed_is_undone_on_the_client_and_the_next_goes_on(
    volume: list[str], made: list[str], context: Context
) -> None:
    something_new(context)
    # While it attaches: half of that is there, and the script that does it runs on. It is stopped meanwhile, since on a
    # busy machine it would have ended before a second run is refused with its name.
    task = begun(volume, "keep")
    time.sleep(0.7)
    task.send_signal(signal.SIGSTOP)
    assert "another backup is under way: backup for client by " in refused(fab("encrypted-backup.list", *volume))
    killed(context, task)
    # While it copies.
    task = begun(volume, "mount")
    time.sleep(1)
    killed(context, task)
    made.append(backed_up(succeeded(fab("encrypted-backup.run", "--source", SOURCE, *volume))))
    assert names(volume) == made
