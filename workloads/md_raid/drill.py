"""The failure drill: kills all storage servers but one during reads, starts them again, and rebuilds the mirrors.

It shows that no read fails and how long the longest one stalls; that the data is intact with one server left; that
servers, sessions and mirrors come back; and that returned legs hold what was written in their absence.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from functools import partial
from typing import Any

from inventory import Host
from workloads.connectors.pool import in_threads
from workloads.console import si_bytes
from workloads.errors import WorkloadError
from workloads.md_raid.arrays import active_array, lost_legs, make_stripe, return_legs
from workloads.md_raid.configure import export_targets, log_in, make_volumes
from workloads.md_raid.context import Context, sampling, script
from workloads.md_raid.plan import Drill, Plan
from workloads.md_raid.topology import STRIPE
from workloads.power import START_MAY_TAKE, Power
from workloads.waiting import wait_until
from workloads.worker import WORKER_SILENCE_S, Outcome, arguments, bring_worker, rate_words, run_worker

# Reads are in flight at once; what is read before a kill is compared with drill-steady, not with this.
BEFORE_KILL_S = 0.5
DEGRADED_POLL_S = 0.3
SESSION_LIMIT_S = 180
DATA_TIMEOUT_S = 600
DEVICE = f"/dev/{STRIPE}"


class FailureDrill:
    """One drill."""

    def __init__(self, context: Context, plan: Plan) -> None:
        self.context = context
        self.drill: Drill = plan.drill
        self.client = context.client_name
        self.power = Power(context.hosts, lambda words: context.console.say("drill", words))
        self.stalls_s: dict[str, float] = {}
        self.sha256_at: dict[int, str] = {}  # of what was written, by its offset
        self.down: list[Host] = []

    def event(self, event: str, **fields: Any) -> None:
        """Records an event."""
        self.context.results.append("drill", {"t_unix_s": time.time(), "event": event, **fields})

    def say(self, words: str) -> None:
        """Says a line."""
        self.context.console.say("drill", words)

    def run(self) -> None:
        """Runs the whole drill."""
        started = time.monotonic()
        self.prepare()
        with sampling(self.context):
            try:
                self.write_block(0)
                self.event("reads-started")
                self.conclude("drill-steady", self.read("drill-steady", self.drill.steady_seconds))  # for comparison
                for number, server in enumerate(self.context.topology.servers[:-1], start=1):
                    self.kill_during_reads(number, server)
                self.event("reads-finished", errors=0)  # a failed read has ended the drill
                # Every leg but one lacks this block: a rebuild must copy it to them.
                self.write_block(self.drill.data_bytes)
                self.verify("degraded")
            except BaseException:
                for server in self.down:  # configure does the rest
                    with suppress(Exception):
                        self.power.start(server)
                raise
            self.bring_back()
            self.verify("rebuilt")
            self.compare_legs()
        self.context.results.step("drill", time.monotonic() - started, None)
        longest = max(self.stalls_s.values())
        self.say(f"passed in {time.monotonic() - started:.0f} s: no read failed, longest stall {longest:.1f} s")

    def prepare(self) -> None:
        """Checks that every mirror is whole, and assembles the stripe."""
        status = self.context.array_status()
        lacking = [
            mirror.name
            for mirror in self.context.topology.mirrors
            if not active_array(self.context, status, mirror.name).whole
        ]
        if lacking:
            raise self.context.client_error(f"{', '.join(lacking)} not whole", "run configure first")
        make_stripe(self.context)
        size_bytes = self.context.client_state().arrays[STRIPE].size_bytes or 0
        if 2 * self.drill.data_bytes > size_bytes:
            raise WorkloadError(
                f"drill.data_bytes is {self.drill.data_bytes}", f"give at most {size_bytes // 2}: half of {STRIPE}"
            )
        bring_worker(self.context, [self.client])

    def run_on_data(self, words: str, name: str, *arguments: str | int) -> Sequence[dict[str, Any]]:
        """Runs a script that reads or writes data, and shows `words` meanwhile; returns its facts."""
        with self.context.console.under_way("drill", words):
            return self.context.on_client(name, map(str, arguments), DATA_TIMEOUT_S).facts

    def write_block(self, offset_bytes: int) -> None:
        """Writes random data over all mirrors."""
        size = self.drill.data_bytes
        facts = self.run_on_data(f"writing {si_bytes(size)}", "client_write_data", DEVICE, offset_bytes, size)
        sha256 = self.sha256_at[offset_bytes] = str(facts[0]["sha256"])
        self.event("data-written", bytes=size, sha256=sha256, offset_bytes=offset_bytes)
        self.say(f"{size >> 20} MiB written at {offset_bytes >> 20} MiB, sha256 {sha256[:16]}…")

    def verify(self, when: str) -> None:
        """Reads all data back past the caches."""
        size = self.drill.data_bytes
        for offset_bytes, sha256 in self.sha256_at.items():
            facts = self.run_on_data(f"reading {si_bytes(size)} back", "client_read_data", DEVICE, offset_bytes, size)
            matched = facts[0]["sha256"] == sha256
            self.event("verified", bytes=size, matched=matched, offset_bytes=offset_bytes, when=when)
            if not matched:
                raise self.context.client_error(
                    f"data at {offset_bytes} of {DEVICE} is not what was written ({when})",
                    "keep the hosts as they are, and see dmesg on all of them",
                )
        self.say(f"checksums match, {when}: {size * len(self.sha256_at) >> 20} MiB read back")

    def read(self, cell: str, seconds: float, on_started: Callable[[int], None] | None = None) -> Outcome:
        """Runs the worker to its end."""
        words = arguments(
            [DEVICE],
            pattern=self.drill.pattern,
            request_bytes=self.drill.request_bytes,
            threads=self.drill.depth,
            seconds=seconds,
        )
        with self.context.console.under_way("drill", cell, f"at most {seconds:g} s") as progress:
            return run_worker(
                self.context,
                self.client,
                script("client_worker"),
                words,
                cell=cell,
                on_record=lambda record: progress.update(f"{cell:<24} {rate_words(record)}"),
                on_started=on_started,
            )

    def conclude(self, cell: str, outcome: Outcome) -> None:
        """Notes the longest stall. Raises WorkloadError when a read failed, or none was measured."""
        final = outcome.final
        if final is None or final["latency_ns"]["max"] is None:
            raise self.context.client_error(f"{cell}: the worker ended without a figure", "run the drill again")
        errors = outcome.errors or 0
        stall_s = final["latency_ns"]["max"] / 1e9
        self.stalls_s[cell] = stall_s
        self.say(f"{cell:<14} {rate_words(final)}, longest read {stall_s:.2f} s, {errors} failed")
        if errors:
            raise self.context.client_error(
                f"{cell}: {errors} reads failed ({', '.join(final['errors'])})",
                "see mdadm --detail and dmesg on the client: every mirror must keep one leg",
            )

    def kill_during_reads(self, number: int, server: Host) -> None:
        """Kills one server while the worker reads, and waits until the mirrors have dropped its legs."""
        cell = f"drill-kill-{number}"
        worker_pid: Future[int] = Future()
        outcomes: list[Outcome] = []

        def read() -> None:
            try:
                seconds = self.drill.kill_seconds + self.drill.after_seconds
                outcomes.append(self.read(cell, seconds, worker_pid.set_result))
            finally:
                worker_pid.cancel()  # without effect if the worker has started

        def kill() -> None:
            try:
                pid = worker_pid.result(WORKER_SILENCE_S)
            except (CancelledError, TimeoutError):
                raise self.context.client_error("the worker did not start", "run the drill again") from None
            time.sleep(BEFORE_KILL_S)
            self.say(f"killing {server.name}")
            self.down.append(server)
            killed_at = time.monotonic()
            self.power.kill(server)
            self.event("killed", host=server.name)
            self.context.hosts.drop(server.name)
            try:
                self.await_degraded(number, killed_at)
                time.sleep(self.drill.after_seconds)
            finally:
                with suppress(WorkloadError):
                    self.context.on_client("client_stop_worker", [str(pid)])

        in_threads({"kill": kill, "read": read}, on_interrupt=self.context.hosts.close)
        self.conclude(cell, outcomes[0])
        self.context.record_arrays(f"killed-{number}")

    def await_degraded(self, number: int, killed_at: float) -> None:
        """Waits until every mirror has dropped the dead server's leg."""
        waiting = {mirror.name for mirror in self.context.topology.mirrors}
        legs = len(self.context.topology.servers)

        def all_degraded() -> bool:
            status = self.context.array_status()
            for name in sorted(waiting):
                working = active_array(self.context, status, name).working
                if working is not None and working <= legs - number:
                    waiting.discard(name)
                    self.event("degraded", array=name, working=working)
            return not waiting

        limit_seconds = self.drill.kill_seconds - (time.monotonic() - killed_at)
        if not wait_until(all_degraded, timeout_seconds=limit_seconds, interval_seconds=DEGRADED_POLL_S):
            raise self.context.client_error(
                f"{', '.join(sorted(waiting))} still whole {time.monotonic() - killed_at:.0f} s after the kill",
                "the server may have lived on: see its state, and give the plan a longer drill.kill_seconds",
            )
        self.say(f"all mirrors go on with {legs - number} of {legs} legs {time.monotonic() - killed_at:.1f} s after")

    def bring_back(self) -> None:
        """Starts the servers, and brings sessions and legs back."""
        hosts = self.context.hosts
        with self.context.console.under_way("drill", "servers come back", START_MAY_TAKE) as progress:
            for server in self.down:
                self.power.start(server)
            in_threads(
                {server.name: partial(self.power.await_return, server, progress.update) for server in self.down},
                on_interrupt=hosts.close,
            )
        for server in self.down:
            self.event("returned", host=server.name)
            self.say(f"{server.name} is back")
        # The servers restore volumes and targets at boot: these are expected to change nothing.
        restored = make_volumes(self.context) + export_targets(self.context)
        self.event("targets-restored", changed=restored)
        self.say("targets restored at boot" if restored == 0 else f"targets needed {restored} changes after boot")
        self.await_sessions()
        self.down.clear()
        log_in(self.context)
        state = self.context.client_state()  # as await_sessions read it, unless a log-in has changed something
        self.context.record_arrays("returned", state)
        started: dict[str, float] = {}
        for name in lost_legs(self.context, state):
            started[name] = time.monotonic()
            self.event("rebuild-started", array=name)

        def rebuilt(name: str) -> None:
            if name in started:
                self.event("rebuilt", array=name, seconds=round(time.monotonic() - started[name], 2))

        return_legs(self.context, rebuilt)
        self.context.record_arrays("rebuilt")
        make_stripe(self.context)
        legs = len(self.context.topology.servers)
        self.say(f"every mirror has {legs} of {legs} legs again")

    def await_sessions(self) -> None:
        """Waits until the initiator has logged in to every target again by itself."""
        legs = self.context.topology.legs
        logged_in = 0
        with self.context.console.under_way("drill", "sessions come back", f"at most {SESSION_LIMIT_S} s") as progress:

            def all_logged_in() -> bool:
                nonlocal logged_in
                state = self.context.client_state(fresh=True)
                disks = [state.disks.get(leg.iqn) for leg in legs]
                logged_in = sum(disk is not None and disk.session == "LOGGED_IN" for disk in disks)
                progress.update(f"{logged_in} of {len(legs)} sessions are logged in")
                return logged_in == len(legs)

            if not wait_until(all_logged_in, timeout_seconds=SESSION_LIMIT_S, interval_seconds=1):
                raise self.context.client_error(
                    f"{logged_in} of {len(legs)} sessions after {SESSION_LIMIT_S} s",
                    "see iscsiadm -m session -P 1 and journalctl -u iscsid there",
                )
        self.say(f"{logged_in} sessions are logged in again, by themselves")

    def compare_legs(self) -> None:
        """Lets md read and compare the legs of each mirror."""
        names = [mirror.name for mirror in self.context.topology.mirrors]
        facts = self.run_on_data("comparing legs", "client_compare_legs", self.drill.check_bytes, *names)
        mismatched = {
            str(fact["array"]): int(fact["mismatched_sectors"]) for fact in facts if "mismatched_sectors" in fact
        }
        matched = not any(mismatched.values())
        self.event("verified", bytes=self.drill.check_bytes * len(names), matched=matched, when="legs-compared")
        if not matched:
            raise self.context.client_error(
                f"legs differ: {mismatched}", "keep the hosts as they are, and see dmesg on all of them"
            )
        self.say(f"legs are equal: the first {self.drill.check_bytes >> 20} MiB of each mirror compared")
