"""Measures the same disk through the tunnel and without it, and what ssh alone moves between the same hosts."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from workloads import worker
from workloads.errors import WorkloadError
from workloads.iscsi_tunnel.attachment import Attachment, join
from workloads.iscsi_tunnel.direct import open_way
from workloads.iscsi_tunnel.ends import Ends, script
from workloads.iscsi_tunnel.plan import Cell, Plan, cells_of
from workloads.iscsi_tunnel.records import attach_recorded
from workloads.iscsi_tunnel.settings import LIMIT_SECONDS
from workloads.worker import Outcome, arguments, rate_words

LITTLE_SECONDS = 1.0


def bring_worker(ends: Ends) -> None:
    """Puts the worker on the client."""
    worker.bring_worker(ends.deployment, [_client_host(ends)])


def _client_host(ends: Ends) -> str:
    if ends.client_host is None:
        raise WorkloadError(
            "measuring needs a client among the hosts",
            "set tidemark:clientType and run pulumi up, or name a host with --client",
        )
    return ends.client_host.name


def read_a_little(ends: Ends, attached: Attachment) -> int:
    """Reads the disk for a moment, unrecorded; the bytes that were read."""
    bring_worker(ends)
    words = arguments(
        [attached.device], pattern="sequential", request_bytes=256 << 10, threads=4, seconds=LITTLE_SECONDS
    )
    final = run_worker(ends, words, lambda _: None).final
    if final is None or not final["bytes"]:
        raise WorkloadError("the disk was not read", "see dmesg on that host", ends.client_name)
    return int(final["bytes"])


def run_worker(ends: Ends, words: list[str], take: Callable[[dict[str, Any]], None]) -> Outcome:
    """Runs the worker on the client; each record goes to `take`."""
    return worker.run_worker(ends.deployment.hosts.connector(_client_host(ends)), script("client_worker"), words, take)


def run(ends: Ends, plan: Plan) -> Attachment:
    """Measures every cell. The volume is attached afterwards, as it is returned."""
    started = time.monotonic()
    bring_worker(ends)
    attached = attach_recorded(ends)
    blank = is_blank(ends, attached, plan.written_bytes)
    faults: list[str] = []
    count = 0
    try:
        for cell in cells_of(plan, "tunnel", writes=blank):
            count += 1
            faults += measure(ends, plan, cell, attached.device)
        line = join(ends)
        with open_way(ends) as address:
            sizes = [str(attached.volume_bytes), str(LIMIT_SECONDS)]
            words = [ends.iqn, address, line.initiator, ends.volume.id, *sizes]
            device = str(ends.client.run(script("client_disk"), words).facts[0]["device"])
            try:
                for cell in cells_of(plan, "direct", writes=blank):
                    count += 1
                    faults += measure(ends, plan, cell, device)
                if blank:
                    ends.client.run(script("client_zero"), [device, "0", str(plan.written_bytes)])
            finally:
                ends.client.run(script("client_forget"), [ends.iqn])
        count += 2
        faults += measure_ssh(ends, plan, line.public_key)
    finally:
        attached = attach_recorded(ends)
    ends.deployment.results.step("run", time.monotonic() - started, None)
    ends.deployment.console.say("run", f"{count - len(faults)} of {count} cells in {time.monotonic() - started:.0f} s")
    if faults:
        raise WorkloadError(
            f"{len(faults)} of {count} cells are not complete, the first: {faults[0]}", "run again", ends.client_name
        )
    return attached


def is_blank(ends: Ends, attached: Attachment, length: int) -> bool:
    """Whether nothing is on the disk, so that writing may be measured, too."""
    fact = ends.client.run(script("client_blank"), [attached.device, "0", str(length)]).facts[0]
    if not fact["blank"]:
        ends.deployment.console.say(
            "run", f"something is on the disk (at byte {fact['at']}): it is read, and not written to"
        )
    return bool(fact["blank"])


def measure(ends: Ends, plan: Plan, cell: Cell, device: str) -> list[str]:
    """Measures one cell; what is wrong with it, if anything."""
    results, console = ends.deployment.results, ends.deployment.console
    record: dict[str, Any] = {
        "cell": cell.name,
        "path": cell.path,
        "op": cell.operation,
        "pattern": cell.pattern.name,
        "request_bytes": cell.pattern.request_bytes,
        "depth": cell.pattern.depth,
        "started_unix_s": time.time(),
    }
    words = arguments(
        [device],
        pattern=cell.pattern.order,
        request_bytes=cell.pattern.request_bytes,
        threads=cell.pattern.depth,
        seconds=plan.measured_seconds,
        operation=cell.operation,
        warmup_seconds=plan.warmup_seconds,
        span_bytes=plan.written_bytes if cell.operation == "write" else None,
    )
    if cell.operation == "write":
        words.append("--overwrite")  # is_blank has seen that there is nothing
    outcome = Outcome()
    reason: str | None = None
    try:
        with console.under_way("run", cell.name) as progress:

            def take(line: dict[str, Any]) -> None:
                results.append("worker", {**line, "cell": cell.name, "host": ends.client_name})
                progress.update(f"{cell.name:<26} {rate_words(line)}")

            outcome = run_worker(ends, words, take)
        if outcome.final is None:
            reason = "the worker ended without a final line"
        elif outcome.errors:
            reason = f"{outcome.errors} requests failed"
        elif outcome.final["ops"] == 0:
            reason = "not one request ended"
    except WorkloadError as error:
        reason = error.what
    except BaseException as error:
        reason = "interrupted" if isinstance(error, (KeyboardInterrupt, SystemExit)) else str(error)
        raise
    finally:
        results.append("cells", record | {"complete": reason is None, "reason": reason})
    shown = rate_words(outcome.final) if outcome.final is not None else ""
    console.say("run", f"{cell.name:<26} {shown}" + (f" not complete: {reason}" if reason else ""))
    return [] if reason is None else [f"{cell.name} ({reason})"]


def measure_ssh(ends: Ends, plan: Plan, public_key: str) -> list[str]:
    """What one SSH connection moves, either way: zeros from memory to nowhere. What is wrong, if anything."""
    results, console = ends.deployment.results, ends.deployment.console
    user = ends.deployment.inventory.ssh.user
    client = ends.deployment.inventory.host(_client_host(ends))
    server, way = ends.server_host, ends.way()
    stream = ["open", user, public_key, client.private_address, str(plan.ssh_seconds)]
    faults = []
    try:
        ends.server.run(script("server_stream"), stream)
        for operation in ("read", "write"):
            name = f"ssh-{operation}-sequential"
            record = {
                "cell": name,
                "path": "ssh",
                "op": operation,
                "pattern": "sequential",
                "started_unix_s": time.time(),
            }
            words = [operation, user, way["server"], way["port"], server.id]
            reason: str | None = None
            figures: dict[str, Any] = {}
            try:
                seen = ends.client.run(script("client_stream"), words).facts[0]
                moved = seen["received_bytes" if operation == "read" else "sent_bytes"]
                figures = {"bytes": moved, "seconds": seen["seconds"]}
                console.say("run", f"{name:<26} {moved / seen['seconds'] / (1 << 20):>24,.1f} MiB/s")
            except WorkloadError as error:
                reason = error.what
                faults.append(f"{name} ({reason})")
            results.append("cells", {**record, **figures, "complete": reason is None, "reason": reason})
    finally:
        ends.server.run(script("server_stream"), ["close", user, "", "", ""])
    return faults
