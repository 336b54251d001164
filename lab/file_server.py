"""One EFS file system of the API made real: an NFS server that nobody can reach, and the front end that all do.

Both live in a network namespace of the file system's own. The mount targets are its interfaces to the VPC, filtered
as any host's are; behind them the front end (lab/mount_target/) passes calls on to the server, holds to the service
model and counts what EFS would meter.
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
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lab import vpc
from lab.errors import LabError
from lab.kernel.boot import BootFiles, Hardware, boot
from lab.metrics import FileSystemMetrics, Statistics
from lab.paths import PROJECT
from lab.process import run
from lab.service_model import ServiceModel

FRONT_END = PROJECT / "lab" / "mount_target" / "build" / "mount-target"
NFS_PORT = 2049  # RFC 8881, section 2.9.3
# Link-local (RFC 3927): no VPC has it, so it collides with no address of a client.
FRONT_ADDRESS = "169.254.20.1"
SERVER_ADDRESS = "169.254.20.2"
INTERFACE = "nfs"
MAC = "02:00:a9:fe:14:02"
MEMORY_MIB = 768
CAPACITY_MIB = 512
"""What fits into the file system: it lies in the server's memory."""

Publish = Callable[[str, int, Mapping[str, Statistics]], None]

log = logging.getLogger("lab.file_server")


class FileServer:
    """The processes of one file system, from `start` to `remove`, and what they count.

    `publish` gets each minute of `metrics` when it has ended: its start in Unix seconds, and its statistics by name.
    """

    def __init__(
        self,
        file_system_id: str,
        files: BootFiles,
        folder: Path,
        cpu: int,
        metrics: FileSystemMetrics,
        publish: Publish,
    ) -> None:
        self.file_system_id = file_system_id
        self.console = folder / "console.log"
        self._files = files
        self._folder = folder
        self._cpu = cpu
        self._metrics = metrics
        self._publish = publish
        self._holder: subprocess.Popen[bytes] | None = None
        self._server: subprocess.Popen[bytes] | None = None
        self._front: subprocess.Popen[str] | None = None
        self._ports: dict[str, vpc.Port] = {}
        self._numbers = 0
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def running(self) -> bool:
        """Whether all of its processes are there."""
        return len(self.processes) == 3 and all(process.poll() is None for process in self.processes)

    @property
    def processes(self) -> tuple[subprocess.Popen[Any], ...]:
        """Those of its three that were started: namespace, server, front end."""
        started: tuple[subprocess.Popen[Any] | None, ...] = (self._holder, self._server, self._front)
        return tuple(process for process in started if process is not None)

    @property
    def ports(self) -> tuple[vpc.Port, ...]:
        return tuple(self._ports.values())

    def start(self) -> None:
        """Make the namespace, boot the server, let the front end listen and follow the metrics' service model."""
        if not FRONT_END.exists():
            raise LabError(f"{FRONT_END}: not there; `make setup` compiles it")
        self._holder = subprocess.Popen(["unshare", "--net", "sleep", "infinity"], stdin=subprocess.DEVNULL)
        self._wait_for_namespace(self._holder.pid)
        inside = ["nsenter", f"--net=/proc/{self._holder.pid}/ns/net"]
        host_interface = vpc.host_interface(INTERFACE)
        run(
            [*inside, "ip", "-batch", "-"],
            stdin=f"link set lo up\n{vpc.veth_commands(INTERFACE, host_interface)}"
            f"address add {FRONT_ADDRESS}/30 dev {INTERFACE}\n"
            f"neighbour add {SERVER_ADDRESS} lladdr {MAC} dev {INTERFACE} nud permanent\n",
        )
        self._server = boot(
            Hardware(self.file_system_id, MEMORY_MIB, self._cpu, host_interface, MAC, vpc.VPC_MTU_BYTES),
            self._files,
            self._folder,
            [
                "init=/usr/local/sbin/lab-nfs-server",
                f"lab.address={SERVER_ADDRESS}/30",
                f"lab.peer={FRONT_ADDRESS}",
                f"lab.capacity-mib={CAPACITY_MIB}",
            ],
            namespace_pid=self._holder.pid,
        )
        # Any address of the namespace: the mount targets come and go.
        self._front = subprocess.Popen(
            [
                *inside,
                str(FRONT_END),
                "--listen",
                f"0.0.0.0:{NFS_PORT}",
                "--upstream",
                f"{SERVER_ADDRESS}:{NFS_PORT}",
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        threading.Thread(target=self._read, args=(self._front,), name=self.file_system_id, daemon=True).start()
        self.apply_service_model(self._metrics.model)

    def apply_service_model(self, model: ServiceModel | None) -> None:
        """Follow another service model from now on; None is as fast as it goes."""
        self._metrics.model = model
        front = self._front
        if front is None or front.stdin is None:
            return
        with contextlib.suppress(OSError):  # a front end that is gone is started again, with the model of that time
            front.stdin.write(json.dumps({"model": None if model is None else model.command()}) + "\n")
            front.stdin.flush()

    def plug(self, port: vpc.Port) -> None:
        """Make a mount target answer at its address. Plugged in already is well; its groups may be others."""
        if port.instance_id not in self._ports and self._holder is not None:
            self._numbers += 1
            vpc.plug_namespace(port, self._holder.pid, self._numbers)
        self._ports[port.instance_id] = port

    def unplug(self, mount_target_id: str) -> None:
        """Take a mount target away."""
        vpc.unplug(self._ports.pop(mount_target_id))

    def remove(self) -> None:
        """End it all; what was in the file system is gone."""
        if self._server is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._server.pid, signal.SIGKILL)
            self._server.wait()
        for process in (self._front, self._holder):
            if process is not None:
                process.kill()
                process.wait()
        for port in self._ports.values():
            # The interface ends with the namespace, in the kernel's own time; its name must be free at once.
            with contextlib.suppress(LabError):
                vpc.unplug(port)
        self._ports = {}
        self._server = self._front = self._holder = None
        (self._folder / "root.cow").unlink(missing_ok=True)
        shutil.rmtree(self._folder / self.file_system_id, ignore_errors=True)

    def _read(self, front: subprocess.Popen[str]) -> None:
        assert front.stdout is not None  # asked for where it was started
        for line in front.stdout:
            try:
                said = json.loads(line)
            except ValueError:
                log.error("%s: the front end said %s", self.file_system_id, line.strip())
                continue
            if said.get("kind") == "second":
                done = self._metrics.second(said)
                if done is not None:
                    self._publish(self.file_system_id, *done)
            else:
                log.info("%s: front end: %s", self.file_system_id, line.strip())

    def _wait_for_namespace(self, pid: int) -> None:
        """unshare has made its namespace when its own differs from ours."""
        ours = Path("/proc/self/ns/net").readlink()
        for _ in range(200):
            with contextlib.suppress(OSError):
                if Path(f"/proc/{pid}/ns/net").readlink() != ours:
                    return
            time.sleep(0.01)
        raise LabError(f"{self.file_system_id}: no network namespace could be made for it")
