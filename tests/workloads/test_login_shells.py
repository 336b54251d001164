"""The account that a connection logs in to: its shell, what its files print, and what its sshd allows."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from inventory import Host, Inventory
from tests.workloads.ssh_host import ssh_host
from workloads.connectors.script import END_OF_SCRIPT, Script, script_command
from workloads.encrypted_backup.context import script as backup_script
from workloads.errors import WorkloadError
from workloads.iscsi_tunnel.endpoints import script as tunnel_script
from workloads.lease import lease
from workloads.scripts import SHARED, find_script

WORKLOADS = SHARED.parent
COMMAND = script_command("blank_recover", [":"], "root", locked=False, keep_stdin_open=True)

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
        answers = connector.exchange(said('while read -r word; do echo "<$word>"; done'), "ab")
        assert [answer for _, answer, _ in answers] == ["<a>", "<b>"]
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
        assert [answer for _, answer, _ in answers] == ['it\'s "odd" one', 'it\'s "odd" two']


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


def test_what_root_has_set_for_its_own_programs_changes_no_script(host: Host, tmp_path: Path) -> None:
    """As /etc/environment, lmod's BASH_ENV, CUDA's libraries, or a log-in with umask 077 leave it."""
    (tmp_path / "environment").write_text("echo theirs\n")
    (tmp_path / ".bashrc").write_text(
        f"export TMPDIR=/nowhere POSIXLY_CORRECT=1 LD_LIBRARY_PATH=/nowhere TAR_OPTIONS=--verbose RSYNC_PROXY=nowhere\n"
        f"export LC_ALL=de_DE.UTF-8 BASH_ENV={tmp_path}/environment\numask 077\nshopt -so noclobber; export SHELLOPTS\n"
    )
    text = "rmdir $(mktemp -d); bash -c 'echo ours'; env | grep -E '^(TAR|RSYNC|LD_|POSIX)' || umask; echo > /dev/null"
    script = Script("probe", find_script("client_reach", SHARED).text.replace("for pair in", f"{text}; for pair in"))
    with ssh_host(host, tmp_path) as connector:
        assert connector.run(script, locked=False).stdout == 'ours\n0022\n{"changed": 0}'


def test_a_program_for_a_host_takes_no_module_of_the_account(host: Host, tmp_path: Path) -> None:
    """The folder that an account logs in to is the first on the path of `python3 -c` and `python3 -`."""
    for name in ("json", "mmap", "struct"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('theirs')\n")
    (tmp_path / ".bashrc").write_text(f"cd {tmp_path}; export PYTHONPATH={tmp_path} PYTHONWARNINGS=error\n")
    (tmp_path / "disk").write_bytes(bytes(2 << 20))
    with ssh_host(host, tmp_path) as connector:
        found = connector.run(tunnel_script("client_blank"), [f"{tmp_path}/disk", "0", "4096"], locked=False)
    assert found.facts[0]["blank"] is True


def test_every_program_for_a_host_is_isolated() -> None:
    found = [(path, line) for path in WORKLOADS.rglob("*.sh") for line in path.read_text().splitlines()]
    calls = [(path, line) for path, line in found if re.search(r"python3 -|\" -m workloads", line.partition("#")[0])]
    assert len(calls) > 8
    assert [(str(path), line) for path, line in calls if " -I " not in line] == []


@pytest.mark.skipif(
    os.geteuid() != 0 or subprocess.run(["unshare", "--mount", "--", "true"], check=False).returncode != 0,
    reason="mounts take root with CAP_SYS_ADMIN",
)
def test_the_drill_s_password_is_asked_for_where_no_program_runs_in_run(tmp_path: Path) -> None:
    """As on Debian, where initramfs-tools mounts /run with noexec."""
    text = backup_script("blank_recover").text.replace("/var/lib/tidemark", str(tmp_path / "state"))
    text = text.replace("/restored", str(tmp_path / "restored"))
    command = shlex.join(["unshare", "--mount", "--", "sh", "-c", f"mount -t tmpfs -o noexec none /run && {COMMAND}"])
    typed = "password\npassphrase\naddress\n"
    typed += 'read -r address; read -r passphrase; echo "$address $passphrase"; "$SSH_ASKPASS"\nfalse\n'
    done = subprocess.run(
        ["sh", "-c", command],
        input=f"{text.rstrip()}\n{typed}",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stderr.splitlines()[:2] == ["address passphrase", "password"]
    assert "exit code 1 (password)" in done.stderr
    assert [path.name for path in (tmp_path / "state").iterdir()] == ["drill-restored"]
