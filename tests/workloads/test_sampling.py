"""Sampling beside a measurement: what a host shows and nobody understands is told, and a cut line is not."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.machine import wait_for
from tests.workloads.fakes import inventory_document, inventory_of
from workloads import sampling
from workloads.connectors.pool import ConnectionPool
from workloads.connectors.script import Script
from workloads.efs_iops.context import mountstats_lines
from workloads.results import NullResults, Results
from workloads.sampling import Sampler, Sampling, host_record


class Said:
    """A connection on which these lines come, and then its end."""

    user = "root"

    def __init__(self, lines: list[str], end: tuple[int, str] = (0, "")) -> None:
        self._lines = lines
        self._end = end

    def execute(self, command: str, on_line: Callable[[str], None], **_: Any) -> tuple[int, str]:
        for line in self._lines:
            on_line(line)
        return self._end

    def close(self) -> None:
        """Nothing is open."""


def sampled(
    lines: list[str],
    make_parser: Callable[[str], sampling.Parser],
    results: Results,
    monkeypatch: pytest.MonkeyPatch,
    end: tuple[int, str] = (0, ""),
) -> None:
    """Lets a host say the lines at each of four connections."""
    document = inventory_document()
    made: list[Said] = []

    def connect(*_: object) -> Said:
        made.append(Said(lines, end))
        return made[-1]

    monkeypatch.setattr(sampling, "RETRY_S", 0.01)
    monkeypatch.setattr(sampling, "connect", connect)
    hosts = ConnectionPool(inventory_of({**document, "hosts": document["hosts"][3:]}), {"client": []})
    sampler = Sampler(Script("host_sample", "# end of script"), lambda _: [], "host", make_parser)
    with Sampling(hosts, results, [sampler]):
        wait_for("four connections", lambda: len(made) > 3, 120)


class Late(Said):
    """A connection on which lines come once it is allowed."""

    def __init__(self, lines: list[str], allowed: threading.Event) -> None:
        super().__init__(lines)
        self._allowed = allowed

    def execute(self, command: str, on_line: Callable[[str], None], **_: Any) -> tuple[int, str]:
        assert self._allowed.wait(10)
        return super().execute(command, on_line)


SAMPLE = (
    '{"t_unix_s": 1.5, "busy": 1, "total": 2, "nic_rx_bytes": 1, "nic_tx_bytes": 1, "nic_rx_packets": 1, '
    '"nic_tx_packets": 1, "mem_available_bytes": 1}'
)


def host_lines(name: str) -> sampling.Parser:
    return partial(host_record, name)


def test_what_is_never_understood_is_told_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (Path(__file__).parent / "recorded" / "mountstats-after.txt").read_text()
    later = text.replace("RPC iostats version: 1.1", "RPC iostats version: 2.0")
    assert later != text
    sampled(["@@ 100.5", *later.splitlines(), "@@ end"], mountstats_lines, NullResults(), monkeypatch)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(
        "tidemark: the output of client: host_sample can't be parsed (/mnt/efs: RPC iostats version 2.0 is not known"
    )


@pytest.mark.parametrize("last", ['{"t_unix_s": 1.5, "bu', '{"t_unix_s": 1.5}'])
def test_a_line_that_was_cut_after_good_ones_is_no_news(
    last: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    results = Results.start(inventory_of(inventory_document()))
    sampled([SAMPLE, last], host_lines, results, monkeypatch)
    assert capsys.readouterr().err == ""
    assert len(results.records("host")) >= 2


def test_a_sampler_that_fails_is_told_with_its_last_words(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sampled([SAMPLE], host_lines, NullResults(), monkeypatch, end=(1, "first\nwrite error: No space left\n"))
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("tidemark: client: host_sample failed ")
    assert line.endswith(" times (exit code 1: write error: No space left); records of some seconds are missing")


def test_a_host_that_is_not_sampled_yet_is_waited_for_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    allowed = threading.Event()
    monkeypatch.setattr(sampling, "connect", lambda *_: Late([SAMPLE], allowed))
    document = inventory_document()
    hosts = ConnectionPool(inventory_of({**document, "hosts": document["hosts"][3:]}), {"client": []})
    sampler = Sampler(Script("host_sample", "# end of script"), lambda _: [], "host", host_lines)
    with Sampling(hosts, NullResults(), [sampler]) as samples:
        assert samples.missing_hosts(0.05) == ["client"]
        allowed.set()
        assert samples.missing_hosts(10) == []
