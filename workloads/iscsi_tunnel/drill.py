"""Loses the connection while the disk is read: the tunnel comes back by itself, and what waited is answered."""

from __future__ import annotations

import threading
import time
from typing import Any

from workloads.errors import WorkloadError
from workloads.iscsi_tunnel.attachment import Attachment, status
from workloads.iscsi_tunnel.ends import Ends, script
from workloads.iscsi_tunnel.plan import Plan
from workloads.iscsi_tunnel.records import attach_recorded
from workloads.iscsi_tunnel.run import bring_worker, run_worker
from workloads.worker import arguments

# Reads before the loss, and some after it. What is under way at the end is waited for, however long that takes.
BEFORE_SECONDS = 2.0
AFTER_SECONDS = 8
DEPTH = 4
REQUEST_BYTES = 4096


def drill(ends: Ends, plan: Plan, attached: Attachment | None = None) -> None:
    """Kills ssh, then cuts the path, each while the disk is read, which is attached unless it is `attached` already.
    Raises WorkloadError when a read failed.
    """
    started = time.monotonic()
    bring_worker(ends)
    attached = attached or attach_recorded(ends)
    failures = [
        *lose(ends, attached, "ssh-killed", ["kill"], BEFORE_SECONDS + AFTER_SECONDS),
        *lose(
            ends,
            attached,
            "path-cut",
            [ends.way()["server"], str(plan.cut_seconds)],
            BEFORE_SECONDS + plan.cut_seconds + AFTER_SECONDS,
        ),
    ]
    ends.deployment.results.step("drill", time.monotonic() - started, None)
    if failures:
        raise WorkloadError(failures[0], "see logs/client-tunnel.txt after iscsi-tunnel.collect", ends.client_name)


def lose(ends: Ends, attached: Attachment, how: str, words: list[str], seconds: float) -> list[str]:
    """Loses the connection once during `seconds` of reads; what is wrong, if anything."""
    results, console = ends.deployment.results, ends.deployment.console
    cell = f"drill-{how}"
    cut: dict[str, Any] = {}

    def cut_after_a_while() -> None:
        time.sleep(BEFORE_SECONDS)
        try:
            facts = ends.client.run(script("client_cut"), words, locked=False).facts
            cut["at_unix_s"] = facts[0]["cut_at_unix_s"]
        except WorkloadError as error:
            cut["fault"] = str(error)

    cutter = threading.Thread(target=cut_after_a_while, daemon=True)
    cutter.start()

    def take(line: dict[str, Any]) -> None:
        results.append("worker", {**line, "cell": cell, "host": ends.client_name})

    reads = arguments([attached.device], pattern="random", request_bytes=REQUEST_BYTES, threads=DEPTH, seconds=seconds)
    with console.under_way("drill", how):
        final = run_worker(ends, reads, take).final
        cutter.join(timeout=60)
    now = status(ends)
    errors = None if final is None else sum(final["errors"].values())
    stall_s = None if final is None else final["latency_ns"]["max"] / 1e9
    record = {"t_unix_s": time.time(), "event": how, "cut_at_unix_s": cut.get("at_unix_s"), "errors": errors}
    seen = {"longest_stall_s": stall_s, "tunnel": now.tunnel, "session": now.session, "reads": final and final["ops"]}
    results.append("drill", record | seen)
    console.say("drill", f"{how:<12} {errors} reads failed, the longest took {stall_s or 0:.1f} s; tunnel {now.tunnel}")
    found = [f"{how}: {cut['fault']}"] if "fault" in cut else []
    if errors != 0:
        found.append(f"{how}: {'the worker said nothing' if errors is None else f'{errors} reads failed'}")
    if not now.attached:
        found.append(f"{how}: afterwards the tunnel is {now.tunnel}, the session {now.session or 'gone'}")
    return found
