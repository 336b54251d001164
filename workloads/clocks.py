"""Measures over SSH how far the hosts' clocks are from the runner's.

Each probe takes the host's time between two readings of the runner's clock, as NTP does (RFC 5905, section 8): the true
offset is within half the round trip of the result. Clocks are never set, and may differ by any amount.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from workloads.connectors.ssh import SshConnector
from workloads.deployment import Deployment
from workloads.errors import WorkloadError
from workloads.scripts import SHARED, find_script

# The first waits for bash to start; of the others, one will probably find host and network idle.
PROBES = 8
SILENCE_S = 30.0
REPORTED_FROM_S = 1.0  # an offset of this size is shown; smaller ones are usual


@dataclass(frozen=True)
class Probe:
    """The host's clock, and the runner's when the question was sent and the answer received, in Unix seconds."""

    sent_unix_s: float
    host_unix_s: float
    received_unix_s: float

    @property
    def round_trip_s(self) -> float:
        """The time between question and answer."""
        return self.received_unix_s - self.sent_unix_s


@dataclass(frozen=True)
class Offset:
    """The host's clock minus the runner's, when the runner's showed `t_unix_s`; exact to ± `uncertainty_s`."""

    offset_s: float
    uncertainty_s: float
    t_unix_s: float

    def record(self, host: str) -> dict[str, Any]:
        """Returns the record for raw/clocks.ndjson."""
        return {
            "t_unix_s": self.t_unix_s,
            "host": host,
            "offset_s": round(self.offset_s, 6),
            "uncertainty_s": round(self.uncertainty_s, 6),
        }


def offset_of(probes: Iterable[Probe]) -> Offset:
    """Returns the offset by the probe with the shortest round trip; ignores probes during which the runner's clock was
    set back. Raises ValueError when no probe is left.
    """
    sound = [probe for probe in probes if probe.round_trip_s >= 0]
    if not sound:
        raise ValueError("no probe of the clock came back later than it was sent")
    best = min(sound, key=lambda probe: probe.round_trip_s)
    middle_unix_s = (best.sent_unix_s + best.received_unix_s) / 2
    return Offset(best.host_unix_s - middle_unix_s, best.round_trip_s / 2, middle_unix_s)


def measure(connector: SshConnector) -> Offset:
    """Measures the offset of a host's clock. Raises WorkloadError when the clock can't be read."""
    exchanges = connector.exchange(find_script("host_clock", SHARED), ["?"] * PROBES, idle_timeout_seconds=SILENCE_S)
    try:
        return offset_of([Probe(sent, _clock_in(answer), received) for sent, answer, received in exchanges])
    except (ValueError, KeyError, TypeError) as error:
        raise WorkloadError(
            f"its clock cannot be read ({error})", "see that bash is 5.0 or newer there, and run again", connector.name
        ) from error


def _clock_in(answer: str) -> float:
    clock = float(json.loads(answer)["clock"])
    if not math.isfinite(clock):
        raise ValueError(f"it shows {clock}")
    return clock


class HostClocks:
    """The newest offset of each host's clock."""

    def __init__(self, deployment: Deployment, hosts: Iterable[str]) -> None:
        self._deployment = deployment
        self._hosts = list(hosts)
        self._offsets: dict[str, Offset] = {}

    def measure(self) -> None:
        """Measures all clocks at once; records them, and shows large offsets."""
        deployment = self._deployment
        measured = deployment.hosts.each(self._hosts, measure)
        self._offsets |= measured
        for name, offset in measured.items():
            if abs(offset.offset_s) >= REPORTED_FROM_S:
                where = "ahead" if offset.offset_s > 0 else "behind"
                deployment.console.say("clocks", f"{name} is {abs(offset.offset_s):.1f} s {where}")
            deployment.results.append("clocks", offset.record(name))

    def offset_s(self, host: str) -> float:
        """Returns the host's clock minus the runner's."""
        return self._offsets[host].offset_s
