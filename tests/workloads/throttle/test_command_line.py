"""The command line: what it allows, and one line for everything else."""

from __future__ import annotations

from pathlib import Path

import pytest

from workloads.errors import WorkloadError
from workloads.throttle.settings import Cycle, Rate, Settings, parse_command_line, parse_rate


def test_a_command_with_a_rate() -> None:
    words = [
        "--rate",
        "2MiB/s",
        "--report",
        "r.json",
        "--max-pause",
        "0.5",
        "--",
        "aws",
        "s3",
        "sync",
        "--rate",
        "A",
        "B",
    ]
    assert parse_command_line(words) == Settings(
        pace=parse_rate("2 MiB/s"),
        max_pause_s=0.5,
        command=("aws", "s3", "sync", "--rate", "A", "B"),
        pid=None,
        report=Path("r.json"),
    )


def test_a_process_in_the_original_s_way() -> None:
    settings = parse_command_line(["--stop", "0.4", "--run", "0.6", "--pid", "13424"])
    assert settings.pace == Cycle(stop_s=0.4, run_s=0.6)
    assert (settings.pid, settings.command, settings.report) == (13424, None, None)


def test_a_start_that_is_not_held() -> None:
    settings = parse_command_line(["--stop", "0.4", "--run", "0.6", "--from-first-byte", "--", "true"])
    assert settings.pace == Cycle(stop_s=0.4, run_s=0.6, from_first_byte=True)
    assert settings.needs_counts
    assert not parse_command_line(["--stop", "0.4", "--run", "0.6", "--", "true"]).needs_counts


def test_the_command_s_own_double_dash_is_its_own() -> None:
    settings = parse_command_line(["--rate", "1 MB/s", "--", "sh", "-c", "true", "--", "x"])
    assert settings.command == ("sh", "-c", "true", "--", "x")
    assert isinstance(settings.pace, Rate)


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ("", "either --pid PID, or a command after --"),
        ("--rate 1MB/s", "either --pid PID, or a command after --"),
        ("--rate 1MB/s --pid 5 -- true", "either --pid PID, or a command after --"),
        ("--rate 1MB/s --", "nothing after --"),
        ("--rate 1MB/s aws s3 sync", "'aws' is no option; a command comes after --"),
        ("--rates 1MB/s -- true", "'--rates' is no option"),
        ("--rat 1MB/s -- true", "'--rat' is no option"),
        ("--rate", "expected one argument"),
        ("--pid 5", "either --rate RATE, or both --stop and --run"),
        ("--stop 0.4 --pid 5", "either --rate RATE, or both --stop and --run"),
        ("--run 0.4 -- true", "either --rate RATE, or both --stop and --run"),
        ("--rate 1MB/s --stop 0.4 --run 0.6 -- true", "give one or the other"),
        ("--rate 1MB/s --run 0.6 -- true", "give one or the other"),
        ("--rate 1MB/s --from-first-byte -- true", "--from-first-byte with --rate"),
        ("--stop 0.4 --run 0.6 --max-pause 1 -- true", "--max-pause without --rate"),
        ("--stop 0 --run 0.6 -- true", "--stop 0; seconds, from 0.01 to 10"),
        ("--stop 20 --run 0.6 -- true", "--stop 20; seconds, from 0.01 to 10"),
        ("--stop -1 --run 0.6 -- true", "--stop -1; seconds, from 0.01 to 10"),
        ("--stop 0.4 --run 0 -- true", "--run 0; seconds, from 0.001 to 3600"),
        ("--stop 0.4 --run inf -- true", "--run inf; seconds, from 0.001 to 3600"),
        ("--stop nan --run 1 -- true", "--stop nan; seconds, from 0.01 to 10"),
        ("--stop half --run 1 -- true", "--stop half; seconds, from 0.01 to 10"),
        ("--rate 1MB/s --max-pause 20 -- true", "--max-pause 20; seconds, from 0.1 to 10"),
        ("--rate 1MB/s --pid 0", "--pid 0; a process id is a number from 1 on"),
        ("--rate 1MB/s --pid -5", "--pid -5; a process id is a number from 1 on"),
        ("--rate 1MB/s --pid aws", "--pid aws; a process id is a number from 1 on"),
        ("--rate 5 -- true", "has no unit"),
        ("--rate 1MB/s --report= -- true", "--report '' names no file; give a file"),
        ("--rate 1MB/s --report / -- true", "--report '/' names no file; give a file"),
        ("--rate 1MB/s --report . -- true", "--report '.' names no file; give a file"),
        ("--rate 1MB/s --report a/.. -- true", "--report 'a/..' names no file; give a file"),
        ("--rate 1MB/s --report a/ -- true", "--report 'a/' names no file; give a file"),
    ],
)
def test_anything_else_is_refused_in_one_line(words: str, complaint: str) -> None:
    with pytest.raises(WorkloadError) as refused:
        parse_command_line(words.split())
    assert complaint in str(refused.value)
    assert "\n" not in str(refused.value)


def test_help_names_every_option_and_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse_command_line(["--help"])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    options = ("--rate", "--stop", "--run", "--max-pause", "--from-first-byte", "--pid", "--report")
    for word in (*options, "-- COMMAND", "Exit code"):
        assert word in shown
    assert shown.isascii(), "not every terminal has more"
