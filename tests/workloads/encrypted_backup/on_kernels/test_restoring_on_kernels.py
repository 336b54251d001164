"""What is restored is what was backed up, by a blank machine too; and what is refused changes nothing."""

from __future__ import annotations

import re
import subprocess
import threading
from pathlib import Path

import pytest

from tests.workloads.encrypted_backup.on_kernels.client import (
    PASSPHRASE,
    SEED,
    SOURCE,
    backed_up,
    begun,
    digest,
    in_process,
    nothing_is_open,
    refused,
    shell,
    succeeded,
)
from tests.workloads.fabric_task import fab
from workloads.encrypted_backup.context import Context, host_program
from workloads.encrypted_backup.end_to_end import captured_packets, search
from workloads.encrypted_backup.volume import open_volume, opened, reach
from workloads.errors import WorkloadError
from workloads.iscsi_tunnel import endpoints
from workloads.scripts import find_script

pytestmark = [pytest.mark.kernel, pytest.mark.timeout(1500)]


def read_on(task: subprocess.Popen[str], said: list[str], mounted: threading.Event) -> None:
    """All that a task says from now on, with a sign when the volume is mounted or the task has ended."""
    assert task.stdout is not None
    for line in task.stdout:
        said.append(line)
        if re.match("backup +mount +done", line):
            mounted.set()
    mounted.set()


def test_what_is_restored_is_what_was_backed_up(
    volume: list[str], made: list[str], context: Context, tmp_path: Path
) -> None:
    """By a task and by a blank machine that has the sheet. The comparison is by tar and getfattr, which know nothing of
    our manifest. Meanwhile the server is watched: packets, and what its processes and the client's are told for as long
    as somebody has use for the passphrase.
    """
    shell(context, f"rm -f {SOURCE}/new")
    first = digest(context, SOURCE)
    seen: list[str] = []
    with captured_packets(context):
        task = begun(volume, "attach")
        mounted = threading.Event()
        said: list[str] = []
        reading = threading.Thread(target=read_on, args=(task, said, mounted))
        reading.start()
        while not mounted.is_set():
            look = 'cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2> /dev/null | tr "\\0" " "; true'
            seen += [shell(context, look, host) for host in ("client", "server")]
        reading.join()
    assert task.wait() == 0, said
    made.append(backed_up("".join(said)))
    assert any("cryptsetup" in words for words in seen), "processes of the run were looked at"
    assert PASSPHRASE not in "".join(said + seen)
    for path in (tmp_path / "results").rglob("*"):
        assert not path.is_file() or PASSPHRASE.encode() not in path.read_bytes()
    assert search(context, [f"plaintext-{SEED}".encode(), f"name-{SEED}".encode(), PASSPHRASE.encode()]) == 0

    context.client.run(host_program("seed"), ["change", SOURCE, SEED], locked=False)
    assert digest(context, SOURCE) != first
    task = begun(volume, "mount")
    # The link is cut for longer than ssh waits: what was asked of the disk waits, and the copy goes on.
    cut = find_script("client_cut", endpoints.SCRIPTS)
    context.client.run(cut, [context.server_host.private_address, "20"], locked=False)
    output, _ = task.communicate()
    assert task.returncode == 0, output
    made.append(backed_up(output))

    older = f"/srv/restored-{made[-2]}"
    succeeded(fab("encrypted-backup.restore", "--snapshot", made[-2], "--target", older, *volume))
    assert digest(context, older + SOURCE) == first
    line = refused(fab("encrypted-backup.restore", "--target", older, *volume))
    assert "is not empty; give --target a directory that is empty or absent" in line
    succeeded(fab("encrypted-backup.drill", "--source", SOURCE, *volume))
    assert f"{len(made)} snapshots" in succeeded(fab("encrypted-backup.check", *volume))
    assert nothing_is_open(context)


def test_bad_input_is_one_line_and_changes_nothing(volume: list[str], context: Context, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong"
    wrong.write_text("another passphrase")
    wrong.chmod(0o600)
    with_wrong = [*volume[:2], "--key-file", str(wrong), "--leave-running"]
    line = refused(fab("encrypted-backup.run", "--source", SOURCE, *with_wrong))
    assert "client: the passphrase does not open /dev/disk/by-id/" in line
    line = refused(fab("encrypted-backup.run", "--source", "/srv/nowhere", *volume))
    assert line == "tidemark: client: there is no directory /srv/nowhere; give --source a directory of this host"
    line = refused(fab("encrypted-backup.format", "--erase", "vol-other", *volume))
    assert "--erase vol-other is not this stack's volume" in line
    assert nothing_is_open(context)


def test_a_volume_that_holds_something_is_formatted_only_by_its_name(volume: list[str], context: Context) -> None:
    """Runs last: afterwards there is a TrueCrypt volume, made by tcplay, which is opened as it is."""
    server = context.server_host.volumes[0].id
    disk = f"/dev/tidemark/{server}"
    # Flushed, for the target reads the disk beside this host's cache.
    shell(context, f"head -c 20000000 /dev/zero > {disk}; head -c 40000 /dev/urandom > {disk}; sync {disk}", "server")
    line = refused(fab("encrypted-backup.format", *volume))
    assert f"{server} holds data (data within its first 16 MiB); give another volume" in line
    volume_made = find_script("truecrypt_volume", Path(__file__).parent)
    context.hosts.connector("server").run(volume_made, [disk], locked=False, stdin=f"{PASSPHRASE}\n".encode())
    truecrypt = in_process()
    truecrypt.kind = "truecrypt"
    with context.performed(reach(context, stop_server=False)):
        empty = pytest.raises(WorkloadError, match="there is no file system on /dev/mapper/tidemark-backup")
        with empty, context.performed(opened(context, truecrypt)):
            pass
        open_volume(context, truecrypt)
        context.run_short("client_filesystem", ["new"])
        context.run_short("client_close")
    succeeded(fab("encrypted-backup.run", "--type", "truecrypt", "--source", SOURCE, *volume))
    assert nothing_is_open(context)
    assert f"{server} held data" in succeeded(fab("encrypted-backup.format", "--erase", server, *volume))
