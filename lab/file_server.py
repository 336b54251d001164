"""The file server behind one EFS file system of the API: a front end that clients reach, and an NFS server behind it.

Both live in a network namespace of their own. The mount targets are its interfaces to the VPC, filtered as any host's
are. The front end (lab/mount_target/) passes calls on to the NFS server, applies the service model and counts what EFS
would meter.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lab import vpc
from lab.errors import LabError
from lab.kernel.uml import BootFiles, ExitWatch, Hardware, OnExit, boot
from lab.metrics import FileSystemMetrics, Statistics
from lab.paths import PROJECT
from lab.process import HOST_OOM_SCORE, set_oom_score, wait_until
from lab.service_model import FileSystemModel

FRONT_END = PROJECT / "lab" / "mount_target" / "build" / "mount-target"
NFS_PORT = 2049  # RFC 8881, section 2.9.3
# Link-local (RFC 3927): no VPC uses it, so it collides with no client's address.
FRONT_ADDRESS = "169.254.20.1"
SERVER_ADDRESS = "169.254.20.2"
INTERFACE = "nfs"
MAC = "02:00:a9:fe:14:02"
NAMESPACE_SECONDS = 2
MEMORY_MIB = 768
CAPACITY_MIB = 512
"""What fits into the file system: it lies in the server's memory."""

Publish = Callable[[str, int, Mapping[str, Statistics]], None]

log = logging.getLogger("lab.file_server")


class FileServer:
    """The processes of one file system, from `start` to `remove`, and what they count."""

    def __init__(
        self,
        file_system_id: str,
        folder: Path,
        cpu: int,
        metrics: FileSystemMetrics,
        publish: Publish,
        on_exit: OnExit,
        *,
        files: BootFiles,
    ) -> None:
        """`publish` gets each minute of `metrics` when it is over: the file system's id, the minute's start in Unix
        seconds, and its statistics by name. `on_exit` is called when one of the processes exits by itself.
        """
        self.file_system_id = file_system_id
        self.console = folder / "console.log"
        self._files = files
        self._folder = folder
        self._cpu = cpu
        self._metrics = metrics
        self._publish = publish
        self._on_exit = on_exit
        self._exits: list[ExitWatch] = []
        self._processes: list[subprocess.Popen[Any]] = []  # those that were started, of namespace, server, front end
        self._front: subprocess.Popen[str] | None = None
        self._ports: dict[str, vpc.Port] = {}
        self._numbers = 0
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def running(self) -> bool:
        """Whether all of its processes run."""
        return len(self._processes) == 3 and all(process.poll() is None for process in self._processes)

    @property
    def ports(self) -> tuple[vpc.Port, ...]:
        return tuple(self._ports.values())

    def start(self) -> None:
        """Makes the namespace, boots the server and starts the front end with the metrics' service model."""
        if not FRONT_END.exists():
            raise LabError(f"{FRONT_END}: not there; `make setup` compiles it")
        try:
            self._start_processes()
        finally:
            for process in self._processes:
                set_oom_score(process.pid, HOST_OOM_SCORE)
                self._exits.append(ExitWatch(process, self._on_exit))
        self.apply_service_model(self._metrics.model)

    def _start_processes(self) -> None:
        holder = subprocess.Popen(
            ["unshare", "--net", "sleep", "infinity"], stdin=subprocess.DEVNULL, start_new_session=True
        )
        self._processes.append(holder)
        self._wait_for_namespace(holder.pid)
        host_interface = vpc.host_interface(INTERFACE)
        vpc.ip(
            "link set lo up",
            *vpc.veth_commands(INTERFACE, host_interface),
            f"address add {FRONT_ADDRESS}/30 dev {INTERFACE}",
            f"neighbour add {SERVER_ADDRESS} lladdr {MAC} dev {INTERFACE} nud permanent",
            namespace_of=holder.pid,
        )
        server = boot(
            Hardware(self.file_system_id, MEMORY_MIB, self._cpu, host_interface, MAC),
            self._files,
            self._folder,
            [
                "init=/usr/local/sbin/lab-nfs-server",
                f"lab.address={SERVER_ADDRESS}/30",
                f"lab.peer={FRONT_ADDRESS}",
                f"lab.capacity-mib={CAPACITY_MIB}",
            ],
            namespace_pid=holder.pid,
        )
        self._processes.append(server)
        # Any address of the namespace: the mount targets come and go.
        command = ["nsenter", f"--net=/proc/{holder.pid}/ns/net", str(FRONT_END)]
        command += ["--listen", f"0.0.0.0:{NFS_PORT}", "--upstream", f"{SERVER_ADDRESS}:{NFS_PORT}"]
        self._front = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        self._processes.append(self._front)
        threading.Thread(target=self._read, args=(self._front,), name=self.file_system_id, daemon=True).start()

    def apply_service_model(self, model: FileSystemModel | None) -> None:
        """Applies another service model from now on; None is as fast as the server can."""
        self._metrics.model = model
        front = self._front
        if front is None or front.stdin is None:
            return
        with contextlib.suppress(OSError):  # a front end that exited is started again, with the model of that time
            front.stdin.write(json.dumps({"model": None if model is None else model.command()}) + "\n")
            front.stdin.flush()

    def plug(self, port: vpc.Port) -> None:
        """Makes a mount target answer at its address; updates the groups of one that does already."""
        if port.owner_id not in self._ports and self._processes:
            self._numbers += 1
            vpc.plug_namespace(port, self._processes[0].pid, self._numbers)
        self._ports[port.owner_id] = port

    def unplug(self, mount_target_id: str) -> None:
        """Removes a mount target."""
        vpc.Network().unplug(self._ports.pop(mount_target_id))

    def remove(self) -> None:
        """Ends all processes; the contents of the file system are lost."""
        for watch in self._exits:
            watch.expect()
        self._exits = []
        for process in reversed(self._processes):  # each has a process group of its own
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        for port in self._ports.values():  # the kernel deletes them later; their names must be free at once
            vpc.Network().unplug(port)
        self._ports = {}
        self._processes, self._front = [], None
        (self._folder / "root.cow").unlink(missing_ok=True)
        shutil.rmtree(self._folder / self.file_system_id, ignore_errors=True)

    def _read(self, front: subprocess.Popen[str]) -> None:
        assert front.stdout is not None  # asked for where it was started
        for line in front.stdout:
            try:
                message = json.loads(line)
            except ValueError:
                log.error("%s: the front end printed %s", self.file_system_id, line.strip())
                continue
            if message.get("kind") == "second":
                finished = self._metrics.second(message)
                if finished is not None:
                    self._publish(self.file_system_id, *finished)
            else:
                log.info("%s: front end: %s", self.file_system_id, line.strip())

    def _wait_for_namespace(self, pid: int) -> None:
        """Returns when unshare has made its namespace: it differs from ours then."""
        ours = Path("/proc/self/ns/net").readlink()

        def made() -> bool:
            with contextlib.suppress(OSError):
                return Path(f"/proc/{pid}/ns/net").readlink() != ours
            return False

        if not wait_until(made, timeout_seconds=NAMESPACE_SECONDS, interval_seconds=0.01):
            raise LabError(f"{self.file_system_id}: no network namespace could be made for it")
