"""The account that a connection logs in to: its shell, what its files print, and what its sshd allows."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from inventory import Host, Inventory
from tests.workloads.ssh_host import ssh_host
from workloads.connectors.script import END_OF_SCRIPT, Script
from workloads.errors import WorkloadError
from workloads.lease import lease

# A fact, a section and a line without an end: what a script's output has, too.
NOISE = """printf '%s\\n' Welcome '{"changed": 7}' '@@ welcome' ''; printf 'no end of line'"""
SHELLS = [name for name in ("bash", "dash", "fish", "tcsh", "zsh") if shutil.which(name)]


@pytest.fixture
def host(inventory: Inventory) -> Host:
    return inventory.host("client")


def said(text: str) -> Script:
    return Script("probe", f"{text}\n{END_OF_SCRIPT}")


def test_what_an_account_prints_at_each_log_in_is_no_answer(host: Host, tmp_path: Path) -> None:
    """bash reads ~/.bashrc for a command that sshd starts; scp(1) breaks at it, too."""
    (tmp_path / ".bashrc").write_text(f"{NOISE}\n")
    with ssh_host(host, tmp_path) as connector:
        result = connector.run(said("echo '{\"changed\": 2}'"), locked=False)
        assert (result.changed, result.stdout) == (2, '{"changed": 2}')
        answers = [
            each.answer for each in connector.exchange(said('while read -r word; do echo "<$word>"; done'), "ab")
        ]
        assert answers == ["<a>", "<b>"]
        refusing = said('echo "tidemark-error: another one is at work|wait" >&2; exit 1')
        with pytest.raises(WorkloadError, match="another one is at work"), lease(connector, refusing):
            pytest.fail("the noise was taken for the answer of a script that is ready")


@pytest.mark.parametrize("shell", SHELLS)
def test_any_shell_runs_a_script(host: Host, tmp_path: Path, shell: str) -> None:
    with ssh_host(host, tmp_path, (shell, "-c")) as connector:
        words = ['it\'s "odd"', "$HOME", "a;b", "!x", ""]
        text = said('printf "<%s>" "$@"; echo')
        assert connector.run(text, words, locked=False).stdout == '<it\'s "odd"><$HOME><a;b><!x><>'
        answers = connector.exchange(said('while read -r word; do echo "$1 $word"; done'), ["one", "two"], words)
        assert [each.answer for each in answers] == ['it\'s "odd" one', 'it\'s "odd" two']


@pytest.mark.parametrize(
    "says",
    [
        "echo This account is not available. ; exit 1",
        "echo Backups only; exit 0",
        "echo Unmatched >&2; exit 1",
    ],
    ids=["nologin", "ForceCommand", "shell"],
)
def test_a_command_that_the_shell_does_not_run_is_one_line(host: Host, tmp_path: Path, says: str) -> None:
    """As /usr/sbin/nologin, sshd's ForceCommand, and a key with another command: root on EC2's images."""
    expected = (
        r"^client: the log-in shell of root did not run probe \((This acc.*|Backups only|Unmatched)\); let a user "
    )
    # This server would close the channel before it has said that the command runs.
    with ssh_host(host, tmp_path, ("sh", "-c", f"sleep 0.2; {says}")) as connector:
        with pytest.raises(WorkloadError, match=expected):
            connector.run(said("echo '{\"changed\": 2}'"), locked=False)
        with pytest.raises(WorkloadError, match=expected), lease(connector, said("echo ready")):
            pytest.fail("it has not started")


def test_an_sshd_that_allows_no_further_session_is_named(host: Host, tmp_path: Path) -> None:
    with (
        ssh_host(host, tmp_path, sessions_max=1) as connector,
        lease(connector, said("echo ready; read -r _")),
        pytest.raises(WorkloadError, match=r"sshd refuses a further session .*; set MaxSessions in"),
    ):
        connector.run(said("echo more"), locked=False)
