"""What CloudWatch says of the minutes of a run: asked for when they are whole, waited for while they are late."""

from __future__ import annotations

import time

from workloads import cloudwatch
from workloads.efs_iops.context import Context
from workloads.efs_iops.run import Window

# A rehearsal's minutes are there a second after their end, and its endpoint may be asked as often as one likes.
REHEARSAL_POLL_S = 1.0


def read_metrics(context: Context, window: Window) -> None:
    """Records every metric of the whole minutes of the window; says what is missing, and why."""
    if not cloudwatch.is_file_system_id(context.file_system.id):
        context.console.say("cloudwatch", f"left out: {context.file_system.id} is no EFS file system")
        return
    started = time.monotonic()
    minutes = cloudwatch.minutes(window.from_unix_s, window.until_unix_s)
    with context.console.under_way("cloudwatch", f"{len(minutes)} minutes") as progress:
        answer = cloudwatch.wait_for(
            cloudwatch.client(context.inventory.region),
            context.file_system.id,
            minutes,
            # One in which nothing was moved may never come.
            [minute for minute in minutes if window.was_busy(minute, minute + cloudwatch.PERIOD_S)],
            poll_s=REHEARSAL_POLL_S if context.inventory.rehearsal else cloudwatch.POLL_S,
            tell=progress.update,
        )
    for record in answer.records:
        context.results.append("cloudwatch", record)
    context.results.step("cloudwatch", time.monotonic() - started, None)
    words = f"{len(minutes)} whole minute{'' if len(minutes) == 1 else 's'}, waited {time.monotonic() - started:.0f} s"
    context.console.say("cloudwatch", words if answer.reason is None else f"{words}; {answer.reason}")
