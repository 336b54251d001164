"""Start the region, ask it, end it."""

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
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from lab.errors import LabError
from lab.image.build import ensure_image
from lab.isolation import isolated, users_proxies
from lab.kernel.boot import BootFiles
from lab.leak_check import REGION_VARIABLE
from lab.ownership import chown_to_sudo_caller
from lab.paths import PROJECT, cache_dir, lab_dir, without_separators
from lab.preflight import NAMESPACES, check_machine, endpoint_port, listen, prepare_kernel
from lab.process import REGION_OOM_SCORE, run, set_oom_score
from lab.service_model import ServiceModel

STOP_SECONDS = 30
LOGS_KEPT = ("region.log", "events")


@dataclass(frozen=True)
class Running:
    """A region that was started: its folder, where its API answers, and its outermost process."""

    folder: Path
    url: str
    pid: int
    region: str


def up(region: str, say: Callable[[str], None], *, lifeline: int | None = None) -> Running:
    """Start the region and return when its API answers.

    `lifeline` is the reading end of a pipe: when its writing end closes, the region ends. Without one it stays
    until `down`. One that is ending here is waited for. Raises LabError when one is running here already, the port is
    taken, or a tool is missing.
    """
    check_machine()
    folder, port = without_separators(lab_dir(), "TIDEMARK_LAB_DIR"), endpoint_port()
    without_separators(cache_dir(), "XDG_CACHE_HOME")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    chown_to_sudo_caller(folder)
    # The lock stays with the region's process: as long as it is held, the region lives. Here both are let go of.
    with _lock(folder, say) as lock, listen(port) as listener:
        _clear(folder)
        try:
            with users_proxies():
                kernel = prepare_kernel(say)
                files = BootFiles(kernel.path, ensure_image(kernel, say))
            key = folder / "id_ed25519"
            run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "tidemark-rehearsal", "-f", key])
            process = _start(folder, files, region, listener.fileno(), lock.fileno(), lifeline)
            running = Running(folder, f"http://127.0.0.1:{port}", process.pid, region)
            (folder / "region.json").write_text(json.dumps({"url": running.url, "pid": running.pid, "region": region}))
            chown_to_sudo_caller(folder)  # whoever called sudo asks the region, logs in and ends it without
        except BaseException:
            _clear(folder, keep=LOGS_KEPT)
            raise
    return running


def _start(
    folder: Path, files: BootFiles, region: str, listener: int, lock: int, lifeline: int | None
) -> subprocess.Popen[str]:
    """Start the region's process in namespaces of its own; a process that does not get ready, or an interrupt
    meanwhile, leaves none.
    """
    command = ["unshare", *NAMESPACES]
    if os.geteuid() != 0:
        command += ["--user", "--map-root-user"]
    command += [sys.executable, "-m", "lab.region", "--folder", str(folder)]
    command += ["--kernel", str(files.kernel), "--image", str(files.image)]
    command += ["--region", region, "--listener", str(listener)]
    inherited = [listener, lock]
    if lifeline is not None:
        command += ["--lifeline", str(lifeline)]
        inherited.append(lifeline)
    log = folder / "region.log"
    with log.open("w") as region_log:
        process = subprocess.Popen(
            command,
            cwd=PROJECT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=region_log,
            text=True,
            env={**isolated(os.environ), REGION_VARIABLE: str(folder)},
            pass_fds=inherited,
            start_new_session=True,  # Ctrl-C goes to whoever typed it; the region ends in order, after its hosts' tasks
        )
    assert process.stdout is not None  # asked for above
    set_oom_score(process.pid, REGION_OOM_SCORE)
    try:
        with process.stdout:
            if process.stdout.readline().strip() != "ready":
                raise LabError(f"the region did not start: {_last_line(log)} (all of it: {log})")
    except BaseException:
        process.kill()
        process.wait()
        raise
    return process


def running() -> Running:
    """The region that runs in this folder. Raises LabError when there is none."""
    folder = lab_dir()
    try:
        state = json.loads((folder / "region.json").read_text())
    except PermissionError:
        raise _not_ours(folder) from None
    except (OSError, ValueError):
        state = None
    if state is None or not _is_locked(folder):
        raise LabError(f"no rehearsal region runs in {folder}; `fab lab.up` starts one")
    return Running(folder, state["url"], state["pid"], state["region"])


def status() -> dict[str, Any]:
    """What the region's process says of itself and its hosts."""
    return _ask(running().folder, "status")


def apply_service_model(model: ServiceModel | None) -> None:
    """Let the region's file systems follow this service model from now on; None is as fast as they go."""
    _ask(running().folder, f"model {json.dumps(None if model is None else model.to_dict())}")


def known_hosts_file(name: str, console: str) -> Path:
    """A known_hosts file of one line for a host, from the keys that its own console shows."""
    keys = re.findall(r"^tidemark-host-key: (\S+ \S+)\s*$", console, re.MULTILINE)
    if not keys:
        raise LabError(f"{name}: its console shows no host key yet; it is still booting (fab lab.status)")
    path = lab_dir() / "known_hosts"
    path.write_text("".join(f"{name} {key}\n" for key in sorted(set(keys))))
    return path


def down(say: Callable[[str], None]) -> None:
    """End the region and delete its disks and keys; logs stay. None running is well."""
    folder = lab_dir()
    if not folder.exists():
        return
    if _is_locked(folder):
        region = running()
        try:
            _ask(folder, "stop")
        except LabError:
            _kill(region.pid)
        deadline = time.monotonic() + STOP_SECONDS
        while _is_locked(folder):
            if time.monotonic() > deadline:
                say("the region does not answer: killed")
                _kill(region.pid)
                deadline += STOP_SECONDS
            time.sleep(0.05)
    _clear(folder, keep=LOGS_KEPT)


def _ask(folder: Path, word: str) -> dict[str, Any]:
    descriptor = os.open(folder, os.O_PATH)  # a socket's path has 107 bytes at most; a checkout's may have more
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as control:
            control.settimeout(10)
            control.connect(f"/proc/self/fd/{descriptor}/control")
            with control.makefile("rw") as stream:
                stream.write(f"{word}\n")
                stream.flush()
                return cast(dict[str, Any], json.loads(stream.readline()))
    except (OSError, ValueError) as fault:
        raise LabError(f"the region in {folder} does not answer: {fault}") from fault
    finally:
        os.close(descriptor)


def _lock(folder: Path, say: Callable[[str], None]) -> Any:
    try:
        lock = (folder / "lock").open("a")
    except PermissionError:
        raise _not_ours(folder) from None
    deadline = time.monotonic() + STOP_SECONDS
    told = False
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return lock
        except BlockingIOError:
            if time.monotonic() > deadline or not _is_ending(folder):
                lock.close()
                raise LabError(
                    f"a rehearsal region runs already in {folder}; `fab lab.down` ends it, "
                    "or TIDEMARK_LAB_DIR and TIDEMARK_LAB_PORT give a second one a place of its own"
                ) from None
            if not told:
                say(f"waiting for the region that is ending in {folder}")
                told = True
            time.sleep(0.1)


def _is_ending(folder: Path) -> bool:
    """Whether the region that holds the lock is on its way out: it says so, or answers no more."""
    if not (folder / "region.json").exists():
        return False  # it is not up yet
    try:
        return bool(_ask(folder, "status").get("stopping"))
    except LabError:
        return True


def _is_locked(folder: Path) -> bool:
    """Whether a region lives there. Raises LabError where that is another user's to know."""
    try:
        with (folder / "lock").open("r") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except PermissionError:
        raise _not_ours(folder) from None
    except OSError:
        return False
    return False


def _not_ours(folder: Path) -> LabError:
    return LabError(f"{folder}: it belongs to another user, as what sudo or root made does; use sudo here, too")


def _clear(folder: Path, keep: tuple[str, ...] = ()) -> None:
    for path in folder.iterdir():
        if path.name == "lock" or path.name in keep or path.name.startswith("failed-"):
            continue
        if path.is_dir():
            if keep:  # consoles are logs too
                _keep_consoles(path)
            else:
                shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink()


def _keep_consoles(folder: Path) -> None:
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_dir() and not path.is_symlink():
            if not any(path.iterdir()):
                path.rmdir()
        elif path.name != "console.log":
            path.unlink()


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    except PermissionError:
        raise LabError(
            f"process {pid}, the region, is root's and does not answer; end it by `sudo kill {pid}`"
        ) from None


def _last_line(path: Path) -> str:
    lines = [line for line in path.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1] if lines else "it said nothing"
