"""How far a host's clock is off: the arithmetic, and the script over a real connection."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inventory import Inventory
from tests.workloads.ssh_host import ssh_host
from workloads import clocks
from workloads.clocks import Offset, Probe, offset_of
from workloads.connectors.script import END_OF_SCRIPT, Script
from workloads.errors import WorkloadError
from workloads.scripts import SHARED, find_script

# Multiples of this add up and halve without rounding as far as today's Unix time goes.
TICK_S = 2.0**-20
NOW_UNIX_S = 1_700_000_000
ways = st.integers(0, 2**24)  # up to 16 s, in ticks


@st.composite
def probes(draw: st.DrawFn, offset_ticks: int) -> list[Probe]:
    """Probes of a clock that is `offset_ticks` ahead, each with its own way there and back."""
    found = []
    sent = NOW_UNIX_S * 2**20
    for there, back in draw(st.lists(st.tuples(ways, ways), min_size=1, max_size=10)):
        times = (sent, sent + there + offset_ticks, sent + there + back)
        found.append(Probe(*(time * TICK_S for time in times)))
        sent = times[-1]
    return found


@given(st.data(), st.integers(-(2**32), 2**32))
def test_the_true_offset_is_always_within_the_uncertainty(data: st.DataObject, offset_ticks: int) -> None:
    """However unlike the two ways are, and however far the clocks: up to an hour and more."""
    asked = data.draw(probes(offset_ticks))
    offset = offset_of(asked)
    assert abs(offset.offset_s - offset_ticks * TICK_S) <= offset.uncertainty_s
    assert offset.uncertainty_s == min(probe.round_trip_s for probe in asked) / 2
    assert asked[0].sent_unix_s <= offset.t_unix_s <= asked[-1].received_unix_s


def test_the_shortest_round_trip_decides() -> None:
    slow, quick = Probe(1000.0, 2008.0, 1010.0), Probe(1010.0, 2010.5, 1011.0)
    assert offset_of([slow, quick]) == Offset(1000.0, 0.5, 1010.5)
    assert offset_of([slow]) == Offset(1003.0, 5.0, 1005.0)


def test_a_probe_during_which_our_clock_was_set_back_is_left_out() -> None:
    backwards = Probe(1010.0, 2010.0, 1009.0)
    assert offset_of([backwards, Probe(1000.0, 2001.0, 1002.0)]) == Offset(1000.0, 1.0, 1001.0)
    with pytest.raises(ValueError, match="no probe"):
        offset_of([backwards])
    with pytest.raises(ValueError, match="no probe"):
        offset_of([])


def test_the_record_is_that_of_the_results() -> None:
    assert Offset(-0.1234567, 0.0000004, 1700000000.5).record("client-1") == {
        "t_unix_s": 1700000000.5,
        "host": "client-1",
        "offset_s": -0.123457,
        "uncertainty_s": 0.0,
    }


def test_this_machines_clock_over_ssh(inventory: Inventory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both clocks are one: the truth is nought. And then the host's is set an hour and more ahead."""
    resolution_s = 2e-6  # EPOCHREALTIME has microseconds, a float of Unix time a quarter of one
    with ssh_host(inventory.host("client"), tmp_path) as connector:
        offset = clocks.measure(connector)
        assert abs(offset.offset_s) <= offset.uncertainty_s + resolution_s

        shipped = find_script("host_clock", SHARED)
        ahead = shipped.text.replace(
            '"${EPOCHREALTIME/,/.}"', '"$((${EPOCHREALTIME%[.,]*} + 4000)).${EPOCHREALTIME#*[.,]}"'
        )
        assert ahead != shipped.text
        monkeypatch.setattr(clocks, "find_script", lambda *_: Script("host_clock", ahead))
        offset = clocks.measure(connector)
        assert abs(offset.offset_s - 4000) <= offset.uncertainty_s + resolution_s


@pytest.mark.parametrize("answer", ['{"clock": }', '{"time": 1}', "[]", '{"clock": NaN}', '{"clock": null}'])
def test_an_answer_that_is_none_is_one_line(
    inventory: Inventory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    text = f"while read -r _; do echo '{answer}'; done\n{END_OF_SCRIPT}\n"
    monkeypatch.setattr(clocks, "find_script", lambda *_: Script("host_clock", text))
    with (
        ssh_host(inventory.host("client"), tmp_path) as connector,
        pytest.raises(WorkloadError, match=r"^client: its clock cannot be read .*; see that bash is 5.0") as caught,
    ):
        clocks.measure(connector)
    assert "\n" not in str(caught.value)
