"""Measures what one operation of one writer takes without a service model; a rehearsal compares that with its runs."""

from __future__ import annotations

import json
import statistics
from typing import Any

from workloads.clocks import HostClocks
from workloads.efs_iops import plan as plans
from workloads.efs_iops.configure import configure
from workloads.efs_iops.context import Context
from workloads.efs_iops.metrics import sampling
from workloads.efs_iops.run import Workers
from workloads.errors import WorkloadError
from workloads.experiment import Request
from workloads.run_stages import connected_context
from workloads.user_path import output_path

BASE_SECONDS = 5  # in some of them other processes may disturb the measurement


def measure_base(request: Request) -> None:
    """`fab efs-iops.base`: writes the seconds that an operation takes to --output as JSON, by operation.

    A rehearsal runs it before its service model is in force, and adds the model's delay to it. The clients are sampled
    as in a run, since that takes some of their time; nothing is recorded.
    """
    path = output_path(request.options["output"])
    plan = plans.Plan.load(None)
    request.experiment.prepare()
    with connected_context(request) as context:
        configure(context, plan)
        clocks = HostClocks(context, [host.name for host in context.clients])
        clocks.measure()
        with sampling(context, clocks):
            seconds = {each: one_writer(context, BASE_SECONDS, each, clocks) for each in plans.OPERATIONS}
        for operation, each in seconds.items():
            context.console.say("base", f"one {operation} of one byte by one writer takes {each * 1000:.2f} ms")
    path.write_text(json.dumps(seconds) + "\n", encoding="utf-8")


def one_writer(context: Context, seconds: int, operation: str, clocks: HostClocks) -> float:
    """Returns how many seconds one operation of one byte by one writer takes on the first client; records nothing.

    It is the median of each second's mean: one operation that other users of the machine hold up for a second would
    double the mean of two.
    """
    cell = plans.Cell(f"{operation}-1", operation, 1, 1, 1, None, seconds)
    means: list[float] = []

    def take(record: dict[str, Any]) -> None:
        latency = record["latency_ns"]
        if record["kind"] == "interval" and latency["count"]:
            means.append(latency["sum"] / latency["count"] / 1e9)

    attempt = Workers(context, clocks).try_in_time(cell, context.clients[:1], cell.name, take)
    fault = attempt.fault(operation)
    if fault is not None or not means:
        raise WorkloadError(fault or "the worker printed nothing", "run configure, then again", context.clients[0].name)
    return statistics.median(means)
