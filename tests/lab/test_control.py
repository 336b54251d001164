"""Starting, asking and ending a region, and the command line: whatever is wrong is one line."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from lab import command_line, control, isolation, preflight
from lab.errors import LabError
from lab.kernel.choice import Kernel
from lab.paths import PROJECT, lab_dir
from lab.region import _serve_control
from tests.conftest import free_port

KERNEL = Kernel(Path("/nonexistent/linux"), Path("/nonexistent/modules"), "7.2.7", "for a test")


def quiet(_: str) -> None:
    """Progress that nobody watches."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a region would be, and nothing there."""
    monkeypatch.setenv("TIDEMARK_LAB_DIR", str(tmp_path / "lab"))
    monkeypatch.setenv("TIDEMARK_LAB_PORT", str(free_port()))
    return tmp_path / "lab"


@pytest.fixture
def able_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that has all that a region needs, so that the next question is reached on any machine."""
    monkeypatch.setattr(control, "check_machine", lambda: None)


Lab = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Lab:
    """`python -m lab WORDS`, without the second that a process of its own takes."""

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        monkeypatch.setattr(sys, "argv", ["lab", *words])
        monkeypatch.setattr(isolation, "_downloads", {})
        before = dict(os.environ)  # which the command line isolates
        try:
            code = command_line.main()
        except SystemExit as ended:
            code = int(ended.code or 0)
        finally:
            os.environ.clear()
            os.environ.update(before)
        shown = capsys.readouterr()
        return subprocess.CompletedProcess(words, code, shown.out, shown.err)

    return run


def refused(match: str) -> str:
    with pytest.raises(LabError, match=match) as fault:
        control.up("eu-central-1", quiet)
    assert "\n" not in str(fault.value)
    return str(fault.value)


@pytest.mark.parametrize("port", ["", "0", "65536", "http", "4566 ", "-1", "4566.0", "٤٥٦٦", "²"])
def test_a_port_that_is_none_is_refused_before_anything_is_made(
    folder: Path, able_machine: None, monkeypatch: pytest.MonkeyPatch, port: str
) -> None:
    monkeypatch.setenv("TIDEMARK_LAB_PORT", port)
    refused("^TIDEMARK_LAB_PORT=.*: a port is a number from 1 to 65535$")


def test_the_port_is_that_of_the_stack_files_unless_it_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TIDEMARK_LAB_PORT", raising=False)
    assert preflight.endpoint_port() == 4566
    assert "http://127.0.0.1:4566" in (PROJECT / "stacks" / "Pulumi.md-raid.lab.yaml").read_text()
    monkeypatch.setenv("TIDEMARK_LAB_PORT", "65535")
    assert preflight.endpoint_port() == 65535


def test_an_occupied_port_is_named_with_what_to_do(
    folder: Path, able_machine: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        monkeypatch.setenv("TIDEMARK_LAB_PORT", str(port))
        refused(f"^127.0.0.1:{port}: another process listens there; .* TIDEMARK_LAB_PORT$")
    assert not control._is_locked(folder)


def test_a_second_region_in_the_same_folder_is_refused_and_the_first_ones_files_stay(
    folder: Path, able_machine: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control, "STOP_SECONDS", 0.2)  # one that does not answer may be ending
    folder.mkdir()
    (folder / "region.json").write_text("{}")
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        said = refused(f"^a rehearsal region runs already in {folder}; `fab lab.down` ends it")
        assert "TIDEMARK_LAB_DIR" in said
        assert (folder / "region.json").exists()


@pytest.mark.parametrize("tool", ["nft", "patchelf", "mmdebstrap"])
def test_a_missing_tool_is_named_before_anything_is_made(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tool: str
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name, **_: None if name == tool else "/bin/sh")
    assert refused(f"^tools: {tool} not on this machine; `make setup` installs the Debian packages$")
    assert not folder.exists()


def test_a_region_that_does_not_start_says_its_last_line(
    folder: Path, able_machine: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control, "prepare_kernel", lambda _: KERNEL)
    monkeypatch.setattr(control, "ensure_image", lambda *_: Path("/nonexistent/image"))
    monkeypatch.setattr(sys, "executable", "/bin/false")
    refused(f"^the region did not start: .* \\(all of it: {folder / 'region.log'}\\)$")
    assert sorted(path.name for path in folder.iterdir()) == ["lock", "region.log"]
    assert not control._is_locked(folder)


def test_an_interrupt_while_the_region_starts_leaves_none(
    folder: Path, able_machine: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "unshare").write_text("#!/bin/sh\nexec sleep 60\n")  # never says that it is ready
    (tools / "unshare").chmod(0o755)
    monkeypatch.setenv("PATH", str(tools), prepend=":")
    monkeypatch.setattr(control, "prepare_kernel", lambda _: KERNEL)
    monkeypatch.setattr(control, "ensure_image", lambda *_: Path("/nonexistent/image"))

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 1)
    try:
        with pytest.raises(KeyboardInterrupt):
            control.up("eu-central-1", quiet)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert not control._is_locked(folder)  # whoever was started held it, too


# --- asking and ending -----------------------------------------------------------------------------------


def test_no_region_is_one_line_for_whoever_asks(folder: Path) -> None:
    for ask in (control.running, control.status):
        with pytest.raises(LabError, match=f"^no rehearsal region runs in {folder}; `fab lab.up` starts one$"):
            ask()


@pytest.mark.parametrize(
    "damage", ["{", "[]", "{}", "[" * 100_000, '{"url": "u", "pid": "x", "region": "r"}', "\udcff"]
)
def test_a_region_whose_file_is_damaged_is_not_said_to_be_none(folder: Path, damage: str) -> None:
    folder.mkdir()
    (folder / "region.json").write_text(damage, errors="surrogateescape")
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(LabError, match=f"^{folder}/region.json is damaged; end the process that has {folder}/lock"):
            control.running()


def test_a_region_that_is_gone_does_not_run(folder: Path) -> None:
    """Killed, it could not take its file away; but its lock went with it."""
    folder.mkdir()
    (folder / "lock").touch()
    (folder / "region.json").write_text(json.dumps({"url": "http://127.0.0.1:1", "pid": 1, "region": "eu-central-1"}))
    with pytest.raises(LabError, match=r"^no rehearsal region runs in "):
        control.running()


def test_ending_none_is_well_and_takes_disks_and_keys_away(folder: Path) -> None:
    control.down(quiet)
    assert not folder.exists()
    host = folder / "hosts" / "i-1"
    for path in (folder / "volumes" / "vol-1", folder / "id_ed25519", host / "root.cow", host / "console.log"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    for name in ("region.log", "events", "inventory.json"):
        (folder / name).touch()
    (folder / "failed-2026-01-01T000000Z").mkdir()
    (folder / "failed-2026-01-01T000000Z" / "region.log").touch()
    control.down(quiet)
    left = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    assert left == ["events", "failed-2026-01-01T000000Z/region.log", "hosts/i-1/console.log", "region.log"]


class FakeRegion:
    """Holds the lock and answers on the control socket, with no namespace behind it."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, answer: str) -> None:
        folder.mkdir()
        self.asked: list[str] = []
        self._answer = answer
        self._lock = (folder / "lock").open("w")
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        (folder / "region.json").write_text(json.dumps({"url": "http://127.0.0.1:1", "pid": 0, "region": "r"}))
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        with monkeypatch.context() as there:
            there.chdir(folder)
            self._socket.bind("control")
        self._socket.listen()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection, connection.makefile("rw") as stream:
                self.asked.append(stream.readline().strip())
                stream.write(self._answer)
            if self.asked[-1] == "stop":
                self._lock.close()

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._lock.close()


@pytest.fixture
def fake(folder: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[FakeRegion]:
    region = FakeRegion(folder, monkeypatch, getattr(request, "param", '{"passes": 1, "hosts": []}\n'))
    yield region
    region.close()


def test_a_region_that_is_ending_is_waited_for(
    fake: FakeRegion, able_machine: None, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake._answer = '{"stopping": true}\n'
    said: list[str] = []

    def refuse(_: object) -> Path:
        raise LabError("the next step")

    monkeypatch.setattr(control, "prepare_kernel", refuse)
    threading.Timer(1, fake._lock.close).start()
    with pytest.raises(LabError, match="the next step"):
        control.up("eu-central-1", said.append)
    assert said == [f"waiting for the region that is ending in {folder}"]


@pytest.mark.parametrize("name", ["a folder", "a,folder", "a:folder", "a\nfolder", "a\tfolder"])
def test_a_path_that_a_kernels_command_line_would_cut_is_refused_before_anything_is_made(
    able_machine: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    for variable in ("TIDEMARK_LAB_DIR", "XDG_CACHE_HOME"):
        with monkeypatch.context() as there:
            there.setenv("TIDEMARK_LAB_DIR", str(tmp_path / "lab"))
            there.setenv(variable, str(tmp_path / name))
            written = re.escape(repr(name).strip("'"))
            refused(f"^'?{tmp_path}/{written}.*: a space, comma, colon or quote in the path; .* {variable}$")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="not root: it can't be another user's")
def test_a_region_of_another_user_is_said_to_be_that() -> None:
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    if subprocess.run([*nobody, "test", "-r", PROJECT / "lab/__main__.py"], check=False).returncode:
        pytest.skip(f"another user can't read the project in {PROJECT}")
    commands = [["status"], ["ssh", "client"], ["down"]]
    each = f"""
import sys
from lab.command_line import main
for words in {commands}:
    sys.argv[1:] = words
    print(main())
"""
    with tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o755)
        folder = Path(place, "lab")
        folder.mkdir(mode=0o700)
        (folder / "lock").touch()
        done = subprocess.run(
            [*nobody, sys.executable, "-c", each],
            cwd=PROJECT,
            env={**os.environ, "TIDEMARK_LAB_DIR": str(folder), "HOME": place},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    line = f"lab: {folder}: it belongs to another user, as what sudo or root made does; use sudo here, too\n"
    assert (done.stdout, done.stderr) == ("1\n" * 3, line * 3)


@pytest.mark.parametrize(
    ("variable", "command"), [("HOME", "image"), ("TIDEMARK_LAB_DIR", "up"), ("XDG_CACHE_HOME", "up")]
)
def test_a_folder_that_can_t_be_made_is_one_line(
    lab: Lab, folder: Path, whole_machine: None, monkeypatch: pytest.MonkeyPatch, variable: str, command: str
) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv(variable, "/proc/no-such-place")
    done = lab(command)
    assert done.returncode == 1
    assert done.stderr.startswith("lab: /proc/no-such-place")
    assert done.stderr.count("\n") == 1


def test_status_is_what_the_region_says(fake: FakeRegion) -> None:
    assert control.status() == {"passes": 1, "hosts": []}
    assert fake.asked == ["status"]


@pytest.mark.parametrize("fake", ["", "not json\n"], indirect=True)
def test_an_answer_that_is_none_is_one_line(fake: FakeRegion, folder: Path) -> None:
    with pytest.raises(LabError, match=f"^the region in {folder} does not answer: ") as fault:
        control.status()
    assert "\n" not in str(fault.value)


def test_down_asks_the_region_to_stop_and_waits_for_its_lock(fake: FakeRegion, folder: Path) -> None:
    control.down(quiet)
    assert fake.asked == ["stop"]
    assert not (folder / "region.json").exists()


def test_a_folder_whose_path_is_longer_than_a_sockets_may_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / ("d" * 150)
    monkeypatch.setenv("TIDEMARK_LAB_DIR", str(folder))
    region = FakeRegion(folder, monkeypatch, '{"passes": 7, "hosts": []}\n')
    assert control.status()["passes"] == 7
    region.close()


# --- host keys -------------------------------------------------------------------------------------------


def test_known_hosts_are_the_keys_on_the_console(folder: Path) -> None:
    folder.mkdir()
    console = "boot\r\ntidemark-host-key: ssh-ed25519 AAAA\r\nnoise tidemark-host-key: ssh-rsa BBBB\r\n"
    path = control.known_hosts_file("client", console)
    assert path.read_text() == "client ssh-ed25519 AAAA\n"


def test_a_console_without_keys_is_a_host_that_still_boots(folder: Path) -> None:
    with pytest.raises(LabError, match=r"^client: its console shows no host key yet; it is still booting"):
        control.known_hosts_file("client", "Linux version 6.1\n")


# --- python -m lab ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["rehearse", "no-such"], "EXPERIMENT=no-such: there is no such experiment; there are "),
        (["rehearse", "md-raid", "no-such"], "EXPERIMENT=no-such: there is no such experiment; there are "),
        (["rehearse", "--keep"], "KEEP=1: a region keeps one experiment; name it"),
        (["rehearse", "md-raid", "efs-iops", "--plan", "full"], "PLAN=full: a plan is of one experiment; name it"),
        (["status"], "no rehearsal region runs in "),
        (["ssh", "client"], "no rehearsal region runs in "),
    ],
)
def test_a_wrong_word_is_one_line_and_exit_code_1(lab: Lab, folder: Path, words: list[str], said: str) -> None:
    done = lab(*words)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("lab: ")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert not folder.exists()


def test_the_image_is_made_ready_or_one_line_says_why_not(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object) -> Path:
        raise LabError("mmdebstrap: not on this machine")

    monkeypatch.setattr(sys, "argv", ["lab", "image"])
    monkeypatch.setattr(command_line, "ensure_image", lambda _, say: say("root image: reused"))
    monkeypatch.setattr(command_line, "prepare_kernel", lambda _: KERNEL)
    assert command_line.main() == 0
    assert capsys.readouterr().out == "root image: reused\n"
    monkeypatch.setattr(command_line, "ensure_image", refuse)
    assert command_line.main() == 1
    assert capsys.readouterr().err == "lab: mmdebstrap: not on this machine\n"


def test_no_word_asks_for_help(lab: Lab) -> None:
    done = lab()
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("usage: python -m lab")


@pytest.mark.parametrize("words", [["no-such"], ["ssh"], ["up", "--no-such"]])
def test_words_that_make_no_command_are_usage_and_exit_code_2(lab: Lab, folder: Path, words: list[str]) -> None:
    done = lab(*words)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1].startswith("python -m lab")


@pytest.fixture
def whole_machine() -> None:
    """For tests of commands that look for the tools of this machine first."""
    try:
        preflight.check_machine()
    except LabError as missing:
        pytest.skip(str(missing))


def test_up_with_an_occupied_port_is_one_line(
    lab: Lab, folder: Path, whole_machine: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        monkeypatch.setenv("TIDEMARK_LAB_PORT", str(port))
        for words in (["up"], ["rehearse", "md-raid"]):
            done = lab(*words)
            assert done.returncode == 1
            assert f"lab: 127.0.0.1:{port}: another process listens there" in done.stderr
            assert done.stderr.count("\n") == 1
            assert "Traceback" not in done.stdout


def test_a_rehearsal_beside_a_running_region_leaves_that_one_alone(
    lab: Lab, fake: FakeRegion, folder: Path, whole_machine: None
) -> None:
    (folder / "journal.ndjson").touch()
    done = lab("rehearse", "md-raid")
    assert done.returncode == 1
    assert done.stderr.startswith(f"lab: a rehearsal region runs already in {folder}; ")
    assert done.stderr.count("\n") == 1
    assert fake.asked == ["status"]  # whether it is ending
    assert (folder / "journal.ndjson").exists()


def test_down_without_a_region_is_well(lab: Lab, folder: Path) -> None:
    done = lab("down")
    assert (done.returncode, done.stderr) == (0, "")


def test_the_folder_is_the_checkouts_unless_it_is_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("TIDEMARK_LAB_DIR", raising=False)
    assert lab_dir() == PROJECT / ".lab"
    monkeypatch.setenv("TIDEMARK_LAB_DIR", "relative")
    monkeypatch.chdir(tmp_path)
    assert lab_dir() == tmp_path / "relative"
    assert lab_dir().is_absolute()
    assert os.environ["TIDEMARK_LAB_DIR"] == "relative"


def test_who_is_interrupted_while_it_asks_takes_the_answer_from_nobody_else(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rehearsal that gets a signal closes its connection in the midst of a question."""

    class Busy:
        def status(self) -> dict[str, object]:
            time.sleep(0.05)
            return {"hosts": []}

    folder.mkdir()
    monkeypatch.chdir(folder)
    _serve_control(folder, cast(Any, Busy()))
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as interrupted:
        interrupted.connect(str(folder / "control"))
        interrupted.sendall(b"status\n")
    assert control._ask(folder, "status") == {"hosts": []}


def test_a_question_that_fails_leaves_the_next_one_its_answer(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Failing:
        asked = 0

        def status(self) -> dict[str, object]:
            self.asked += 1
            if self.asked == 1:
                raise OSError("no device of that name")
            return {"hosts": []}

    folder.mkdir()
    monkeypatch.chdir(folder)
    _serve_control(folder, cast(Any, Failing()))
    with pytest.raises(LabError, match="does not answer"):
        control._ask(folder, "status")
    assert control._ask(folder, "status") == {"hosts": []}


def test_what_the_region_refuses_is_answered_in_its_words(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Refusing:
        def apply_service_model(self, model: object) -> None:
            raise LabError("a block-storage model limits 256 hosts at most")

    folder.mkdir()
    monkeypatch.chdir(folder)
    _serve_control(folder, cast(Any, Refusing()))
    with pytest.raises(LabError) as refused:
        control._ask(folder, "model null")
    assert str(refused.value) == "a block-storage model limits 256 hosts at most"
