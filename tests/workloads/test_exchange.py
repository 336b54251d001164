"""Scripts over a real SSH connection to a server of this process: sent whole, or spoken with."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest

from inventory import Inventory
from tests.workloads.fakes import inventory_document, inventory_of
from tests.workloads.ssh_host import ssh_host
from workloads.connectors.script import END_OF_SCRIPT, Script, script_command
from workloads.connectors.ssh import SshConnector
from workloads.errors import WorkloadError

QUESTIONS = ["one", "two words", "", "it's $(reboot) \\ *"]


@pytest.fixture(scope="module")
def connector(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshConnector]:
    """A connection to this machine."""
    with ssh_host(inventory_of(inventory_document()).host("client"), tmp_path_factory.mktemp("keys")) as connector:
        yield connector


def script(text: str) -> Script:
    return Script("probe", f"# A probe.\n{text}\n{END_OF_SCRIPT}\n")


ECHO = script('said=0\nwhile IFS= read -r line; do\n    said=$((said + 1))\n    echo "$1 $said: $line"\ndone')


def test_each_line_is_answered_in_its_turn(connector: SshConnector) -> None:
    exchanges = connector.exchange(ECHO, QUESTIONS, ["answer"])
    answers = [answer for _, answer, _ in exchanges]
    assert answers == [f"answer {at}: {line}" for at, line in enumerate(QUESTIONS, start=1)]
    times = [time for sent, _, received in exchanges for time in (sent, received)]
    assert times == sorted(times)


def test_a_fault_is_the_scripts_own_words(connector: SshConnector) -> None:
    fault = script('read -r line\necho "$line"\necho "tidemark-error: no more|ask less" >&2\nexit 3')
    with pytest.raises(WorkloadError, match=r"^client: no more; ask less$"):
        connector.exchange(fault, QUESTIONS)


def test_a_script_that_ends_before_it_is_asked_shows_its_words(connector: SshConnector) -> None:
    fault = script('echo "tidemark-error: not today|come again" >&2\nexit 3')
    with pytest.raises(WorkloadError, match=r"^client: not today; come again$"):
        connector.exchange(fault, QUESTIONS)


def test_too_few_answers_are_one_line(connector: SshConnector) -> None:
    with pytest.raises(WorkloadError, match=r"^client: probe answered 1 of 4 times; run the task again$"):
        connector.exchange(script("read -r line\necho once"), QUESTIONS)


def test_silence_is_one_line(connector: SshConnector) -> None:
    with pytest.raises(WorkloadError, match=r"^client: probe was silent for 0.2 s; see whether the host is up"):
        connector.exchange(script("cat > /dev/null"), QUESTIONS, idle_timeout_seconds=0.2)


def test_a_script_that_was_cut_short_is_not_run() -> None:
    command = script_command("probe", [], "root", locked=False, keep_stdin_open=True)
    done = subprocess.run(
        ["bash", "-c", command], input="echo half of the scr", capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stdout) == (70, "")
    assert "incomplete" in done.stderr


def test_a_script_is_the_same_either_way(connector: SshConnector) -> None:
    """Its own text holds what a shell would change."""
    text = script("cat <<'END'\n  it's \"$HOME\" `id` \\n \\\\ *\n\ttab\n\nEND")
    said = connector.run(text, locked=False).stdout
    assert said == '  it\'s "$HOME" `id` \\n \\\\ *\n\ttab\n'
    lines = [answer for _, answer, _ in connector.exchange(script(f"read -r _\n{text.text}"), ["?"])]
    assert lines == ['  it\'s "$HOME" `id` \\n \\\\ *']


def test_a_script_that_is_run_shows_facts_and_faults(connector: SshConnector) -> None:
    result = connector.run(script("echo words\necho '{\"changed\": 2}'\necho aside >&2"), locked=False)
    assert (result.changed, result.stderr) == (2, "aside\n")
    with pytest.raises(WorkloadError, match=r"^client: probe failed with exit code 4 \(why\)"):
        connector.run(script("echo why >&2\nexit 4"), locked=False)


def test_a_broken_connection_is_one_line(inventory: Inventory, tmp_path_factory: pytest.TempPathFactory) -> None:
    with ssh_host(inventory.host("client"), tmp_path_factory.mktemp("keys")) as connector:

        def cut(_: str) -> None:
            connector.close()

        with pytest.raises(WorkloadError, match=r"^client: the connection broke .*; run the task again$"):
            connector.run(script("echo first\nexec sleep 60"), locked=False, on_line=cut)
        with pytest.raises(WorkloadError, match=r"^client: .*was not run; run the task again$"):
            connector.exchange(ECHO, QUESTIONS)
