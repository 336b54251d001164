"""Breaks the connection while the disk is read: the tunnel comes back by itself, and pending reads are answered."""

from __future__ import annotations

import threading
import time
from typing import Any

from workloads.errors import WorkloadError
from workloads.iscsi_tunnel.attachment import attach_recorded, status
from workloads.iscsi_tunnel.endpoints import Attachment, TunnelEndpoints, script
from workloads.iscsi_tunnel.plan import Plan
from workloads.iscsi_tunnel.run import client_host
from workloads.worker import arguments, bring_worker, run_worker

# Reads before the loss, and after it: ssh is started again a second after it ended, and the session logs in two or
# three seconds later. Reads that are pending at the end are waited for.
BEFORE_SECONDS = 2.0
AFTER_SECONDS = 6
DEPTH = 4
REQUEST_BYTES = 4096


def drill(tunnel: TunnelEndpoints, plan: Plan) -> None:
    """Kills ssh, then cuts the path, each while the disk is read; attaches the volume first if it is not attached.

    Raises WorkloadError when a read failed.
    """
    started = time.monotonic()
    bring_worker(tunnel, [client_host(tunnel)])
    attached = tunnel.attached or attach_recorded(tunnel)
    failures = [
        *lose(tunnel, attached, "ssh-killed", ["kill"], BEFORE_SECONDS + AFTER_SECONDS),
        *lose(
            tunnel,
            attached,
            "path-cut",
            [tunnel.ssh_route()["server"], str(plan.cut_seconds)],
            BEFORE_SECONDS + plan.cut_seconds + AFTER_SECONDS,
        ),
    ]
    tunnel.results.step("drill", time.monotonic() - started, None)
    if failures:
        raise WorkloadError(failures[0], "see logs/client-tunnel.txt after iscsi-tunnel.collect", tunnel.client_name)


def lose(tunnel: TunnelEndpoints, attached: Attachment, how: str, words: list[str], seconds: float) -> list[str]:
    """Breaks the connection once during `seconds` of reads; returns what went wrong, if anything."""
    cell = f"drill-{how}"
    cut: dict[str, Any] = {}

    def cut_after_a_while() -> None:
        time.sleep(BEFORE_SECONDS)
        try:
            facts = tunnel.client.run(script("client_cut"), words, locked=False).facts
            cut["at_unix_s"] = facts[0]["cut_at_unix_s"]
        except WorkloadError as error:
            cut["fault"] = str(error)

    cutter = threading.Thread(target=cut_after_a_while, daemon=True)
    cutter.start()

    reads = arguments([attached.device], pattern="random", request_bytes=REQUEST_BYTES, threads=DEPTH, seconds=seconds)
    with tunnel.console.under_way("drill", how):
        outcome = run_worker(tunnel, client_host(tunnel), script("client_worker"), reads, cell=cell)
        cutter.join(timeout=60)
    now = status(tunnel)
    errors, final = outcome.errors, outcome.final
    stall_s = None if final is None else final["latency_ns"]["max"] / 1e9
    record = {"t_unix_s": time.time(), "event": how, "cut_at_unix_s": cut.get("at_unix_s"), "errors": errors}
    seen = {"longest_stall_s": stall_s, "tunnel": now.tunnel, "session": now.session, "reads": final and final["ops"]}
    tunnel.results.append("drill", record | seen)
    tunnel.console.say(
        "drill", f"{how:<12} {errors} reads failed, the longest took {stall_s or 0:.1f} s; tunnel {now.tunnel}"
    )
    found = [f"{how}: {cut['fault']}"] if "fault" in cut else []
    if errors != 0:
        found.append(f"{how}: {'the worker printed nothing' if errors is None else f'{errors} reads failed'}")
    if not now.attached:
        found.append(f"{how}: afterwards the tunnel is {now.tunnel}, the session {now.session or 'gone'}")
    return found
