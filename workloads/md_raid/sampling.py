"""What each host does while something is measured: CPU, network counters and memory, second by second."""

from __future__ import annotations

import json
import threading
from types import TracebackType

from workloads.connections import Remote, Script, connect, script_command
from workloads.errors import WorkloadError
from workloads.md_raid.context import Context, script

# A host that has said nothing for so long has gone; one that comes back is asked again.
SILENCE_S = 10.0
RETRY_S = 2.0


def host_record(host: str, line: str) -> dict[str, object]:
    """A sampler's line as results hold it."""
    sample = json.loads(line)
    return {
        "t_unix_s": sample["t_unix_s"],
        "host": host,
        "cpu_busy_ratio": round(sample["busy"] / sample["total"], 4),
        "nic_rx_bytes": sample["nic_rx_bytes"],
        "nic_tx_bytes": sample["nic_tx_bytes"],
        "mem_available_bytes": sample["mem_available_bytes"],
    }


class Sampling:
    """Samplers on all hosts, each over a connection of its own, for as long as the block lasts.

    A host that dies is left out while it is gone: its seconds are missing from the results, not zero.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._script: Script = script("host_sample")
        self._ended = threading.Event()
        self._remotes: dict[str, Remote] = {}
        self._guard = threading.Lock()
        self._threads = [
            threading.Thread(target=self._sample, args=(host.name,), daemon=True) for host in context.inventory.hosts
        ]

    def __enter__(self) -> Sampling:
        if self._context.results is not None:
            for thread in self._threads:
                thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        with self._guard:
            remotes = list(self._remotes.values())
        for remote in remotes:
            remote.close()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(timeout=5)

    def _sample(self, name: str) -> None:
        results = self._context.results
        assert results is not None
        while not self._ended.is_set():
            try:
                # The address may change while the sampler runs: it is looked up at each attempt.
                inventory = self._context.inventory
                host = inventory.host(name)
                remote = connect(host, inventory.ssh, self._context.hosts.keys_of(name))
                with self._guard:
                    self._remotes[name] = remote
                if self._ended.is_set():
                    remote.close()
                    return
                command = script_command(self._script.name, [host.private_address], remote.user, locked=False)
                remote.stream(
                    command,
                    lambda line: results.append("host", host_record(name, line)) if line.startswith("{") else None,
                    stdin=self._script.text.encode(),
                    silence_s=SILENCE_S,
                )
            except (WorkloadError, OSError, ValueError):
                pass
            finally:
                with self._guard:
                    gone = self._remotes.pop(name, None)
                if gone is not None:
                    gone.close()
            self._ended.wait(RETRY_S)
