"""Starting, querying and ending a region."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from lab.clients import Clients
from lab.errors import LabError
from lab.image.build import ensure_image
from lab.isolation import isolated, users_proxies
from lab.kernel.uml import BootFiles
from lab.leak_check import REGION_VARIABLE
from lab.paths import PROJECT, cache_dir, chown_to_sudo_caller, lab_dir, socket_address, without_separators
from lab.preflight import NAMESPACES, check_machine, endpoint_port, listen, prepare_kernel
from lab.process import REGION_OOM_SCORE, run, set_oom_score, wait_until
from lab.service_model import ServiceModel

STOP_SECONDS = 30
LOGS_KEPT = ("region.log", "events")


@dataclass(frozen=True)
class Running:
    """A region that was started: its folder, the URL of its API, and its outermost process."""

    folder: Path
    url: str
    pid: int
    region: str


def up(region: str, say: Callable[[str], None], *, lifeline: int | None = None) -> Running:
    """Starts the region and returns when its API answers. Waits for a region that is ending in this folder.

    `lifeline` is the reading end of a pipe: when its writing end closes, the region ends. Without one it stays until
    `down`. Raises LabError if a region runs here already, the port is taken, or a tool is missing.
    """
    check_machine()
    folder, port = without_separators(lab_dir(), "TIDEMARK_LAB_DIR"), endpoint_port()
    without_separators(cache_dir(), "XDG_CACHE_HOME")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    chown_to_sudo_caller(folder)
    # The region's process inherits both and holds the lock as long as it lives. This process closes its own copies.
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
            chown_to_sudo_caller(folder)  # so that they can query, use and end the region without sudo
        except BaseException:
            _clear(folder, keep=LOGS_KEPT)
            raise
    return running


def _start(
    folder: Path, files: BootFiles, region: str, listener: int, lock: int, lifeline: int | None
) -> subprocess.Popen[str]:
    """Starts the region's process in namespaces of its own; kills it if it does not get ready, or on an interrupt."""
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
            start_new_session=True,  # Ctrl-C must not reach it: the region ends after the tasks on its hosts
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
    """Returns the region that runs in this folder. Raises LabError if there is none."""
    folder = lab_dir()
    try:
        text = (folder / "region.json").read_bytes()
    except PermissionError:
        raise _not_ours(folder) from None
    except OSError:
        text = b""
    if not text or not _is_locked(folder):
        raise LabError(f"no rehearsal region runs in {folder}; `fab lab.up` starts one")
    try:
        state = json.loads(text)
        return Running(folder, str(state["url"]), int(state["pid"]), str(state["region"]))
    except (ValueError, KeyError, TypeError, RecursionError):
        raise LabError(
            f"{folder}/region.json is damaged; end the process that has {folder}/lock (fuser), and remove that folder"
        ) from None


def status() -> dict[str, Any]:
    """Returns the status of the region's process and of its hosts."""
    return _ask(running().folder, "status")


def apply_service_model(model: ServiceModel | None) -> None:
    """Applies a service model to the region's services; None makes all of them as fast as they can be."""
    _ask(running().folder, f"model {json.dumps(None if model is None else model.to_dict())}")


def ssh_command(region: Running, name: str, instance_id: str, address: str) -> list[str]:
    """Returns the start of a command line that logs in to a host; it is to be run in the project's folder.

    The host key is pinned by the console, as in the tasks. Hosts are new each time, so no key is remembered.
    """
    console = Clients(region.url, region.region).ec2.get_console_output(InstanceId=instance_id)["Output"]
    options = (
        "IdentitiesOnly=yes",
        f"ProxyCommand={shlex.quote(sys.executable)} -m lab.proxy_command %h %p",
        f"UserKnownHostsFile={known_hosts_file(name, console)}",
        f"HostKeyAlias={name}",
        "StrictHostKeyChecking=yes",
    )
    words = [word for option in options for word in ("-o", option)]
    return ["ssh", "-F", "/dev/null", "-i", str(lab_dir() / "id_ed25519"), *words, f"admin@{address}"]


def known_hosts_file(name: str, console: str) -> Path:
    """Writes a known_hosts file with the keys that a host's console shows; returns its path."""
    keys = re.findall(r"^tidemark-host-key: (\S+ \S+)\s*$", console, re.MULTILINE)
    if not keys:
        raise LabError(f"{name}: its console shows no host key yet; it is still booting (fab lab.status)")
    path = lab_dir() / f"known_hosts.{name}"
    path.write_text("".join(f"{name} {key}\n" for key in sorted(set(keys))))
    return path


def down(say: Callable[[str], None]) -> None:
    """Ends the region and deletes its disks and keys, but not its logs; succeeds if none runs."""
    folder = lab_dir()
    if not folder.exists():
        return
    if _is_locked(folder):
        region = running()
        try:
            _ask(folder, "stop")
        except LabError:
            _kill(region.pid)
        while not wait_until(lambda: not _is_locked(folder), timeout_seconds=STOP_SECONDS, interval_seconds=0.05):
            say("the region does not answer: killed")
            _kill(region.pid)
    _clear(folder, keep=LOGS_KEPT)


def _ask(folder: Path, command: str) -> dict[str, Any]:
    try:
        with socket_address(folder / "control") as address, socket.socket(socket.AF_UNIX) as control:
            control.settimeout(10)
            control.connect(address)
            with control.makefile("rw") as stream:
                stream.write(f"{command}\n")
                stream.flush()
                answer = cast(dict[str, Any], json.loads(stream.readline()))
    except (OSError, ValueError) as fault:
        raise LabError(f"the region in {folder} does not answer: {fault}") from fault
    if "error" in answer:
        raise LabError(str(answer["error"]))
    return answer


def _lock(folder: Path, say: Callable[[str], None]) -> IO[str]:
    try:
        lock = (folder / "lock").open("a")
    except PermissionError:
        raise _not_ours(folder) from None
    if not _try_lock(lock):
        if _is_ending(folder):
            say(f"waiting for the region that is ending in {folder}")
            wait_until(lambda: _try_lock(lock) or not _is_ending(folder), timeout_seconds=STOP_SECONDS)
        if not _try_lock(lock):
            lock.close()
            raise LabError(
                f"a rehearsal region runs already in {folder}; `fab lab.down` ends it, "
                "or TIDEMARK_LAB_DIR and TIDEMARK_LAB_PORT give a second one a place of its own"
            )
    return lock


def _try_lock(lock: IO[str]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_ending(folder: Path) -> bool:
    """Returns whether the region that holds the lock is about to exit: it says so, or no longer answers."""
    if not (folder / "region.json").exists():
        return False  # it is not up yet
    try:
        return bool(_ask(folder, "status").get("stopping"))
    except LabError:
        return True


def _is_locked(folder: Path) -> bool:
    """Returns whether a region runs there. Raises LabError if the folder belongs to another user."""
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
    return lines[-1] if lines else "it printed nothing"
