"""One real host behind one instance of the API: a User Mode Linux process with its disks.

Root is a copy-on-write file over the shared image, ubda; the seed (launch key, user data) is ubdb; volumes
are added while the host runs, as on EC2, each with its id as the disk's serial.
"""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import signal
import subprocess
import tarfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lab.errors import LabError
from lab.kernel.boot import BootFiles, Hardware, boot
from lab.mconsole import mconsole

FIRST_VOLUME_UNIT = 2  # ubda is the root, ubdb the seed
LAST_VOLUME_UNIT = 15  # the ubd driver has 16 units
STOP_SECONDS = 20  # EC2 gives a guest minutes; these shut down in about two seconds
CONSOLE_SOCKET_SECONDS = 10


@dataclass(frozen=True)
class HostSpec:
    """What the API says of an instance, as far as a host needs it."""

    instance_id: str
    hostname: str
    interface: str
    mac: str
    address: str  # with prefix length: 10.20.1.10/24
    gateway: str
    mtu: int
    memory_mib: int
    cpu: int  # of this machine
    authorized_key: str
    user_data: bytes


class Host:
    """A host's process and files. One at a time for an instance; the files outlast a stop, as an EBS root does."""

    def __init__(self, spec: HostSpec, files: BootFiles, folder: Path) -> None:
        self.spec = spec
        self.folder = folder
        self.console = folder / "console.log"
        self._files = files
        self._process: subprocess.Popen[bytes] | None = None
        self._units: dict[str, int] = {}  # volume id -> ubd unit
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def ended(self) -> bool:
        """It was started, and its process ended without being stopped from here."""
        return self._process is not None and self._process.poll() is not None

    @property
    def process(self) -> subprocess.Popen[bytes] | None:
        """The kernel's process, ended or not; None before a start and after `stop` or `kill`."""
        return self._process

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None and self.running else None

    def start(self, volumes: Mapping[str, Path]) -> None:
        """Boot with these disks, by volume id. Raises LabError when the kernel ends at once; its console says why."""
        spec = self.spec
        self._units = {volume_id: unit for unit, volume_id in enumerate(sorted(volumes), FIRST_VOLUME_UNIT)}
        shutil.rmtree(self.folder / spec.instance_id, ignore_errors=True)  # the sockets of a host that was killed
        seed = self.folder / "seed.tar"
        seed.write_bytes(_seed_archive(spec))
        self._process = boot(
            Hardware(spec.instance_id, spec.memory_mib, spec.cpu, spec.interface, spec.mac, spec.mtu),
            self._files,
            self.folder,
            [
                f"ubd1r={seed}",
                *(f"ubd{unit}={volumes[volume_id]},,{volume_id}" for volume_id, unit in self._units.items()),
                f"lab.hostname={spec.hostname}",
                f"lab.address={spec.address}",
                f"lab.gateway={spec.gateway}",
            ],
        )
        self._wait_for_console_socket()

    @property
    def ready_for_volumes(self) -> bool:
        """Its user space has given it its name, so the disk driver is up: a disk added earlier makes it panic."""
        try:
            return mconsole(self._console_socket, "version", timeout_seconds=1).split()[1] == self.spec.hostname
        except LabError:
            return False

    def attach(self, volume_id: str, disk: Path) -> None:
        """Make a volume appear while the host runs, once it is `ready_for_volumes`. Attached already is well."""
        if volume_id in self._units:
            return
        taken = set(self._units.values())
        free = [unit for unit in range(FIRST_VOLUME_UNIT, LAST_VOLUME_UNIT + 1) if unit not in taken]
        if not free:
            raise LabError(
                f"{self.spec.instance_id}: {LAST_VOLUME_UNIT - FIRST_VOLUME_UNIT + 1} volumes are attached, no more fit"
            )
        mconsole(self._console_socket, f"config ubd{free[0]}={disk},,{volume_id}")
        self._units[volume_id] = free[0]

    def detach(self, volume_id: str) -> None:
        """Take a volume away. Raises LabError while the host still uses it, as EC2 leaves it `detaching`."""
        if volume_id in self._units:
            if self.running:
                mconsole(self._console_socket, f"remove ubd{self._units[volume_id]}")
            del self._units[volume_id]

    @property
    def attached(self) -> frozenset[str]:
        return frozenset(self._units)

    def stop(self) -> None:
        """Press the power button and wait; a host that does not go is killed."""
        if self._process is not None and self.running:
            try:
                mconsole(self._console_socket, "cad")
                self._process.wait(STOP_SECONDS)
            except (LabError, subprocess.TimeoutExpired):
                pass
        self.kill()

    def kill(self) -> None:
        """Cut the power: nothing is flushed, nobody is told."""
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._process = None
        self._units = {}

    def remove(self) -> None:
        """Kill the host and delete its disks; the console log stays for who wants to know why."""
        self.kill()
        for name in ("root.cow", "seed.tar"):
            (self.folder / name).unlink(missing_ok=True)
        shutil.rmtree(self.folder / self.spec.instance_id, ignore_errors=True)

    @property
    def _console_socket(self) -> Path:
        return self.folder / self.spec.instance_id / "mconsole"

    def _wait_for_console_socket(self) -> None:
        deadline = time.monotonic() + CONSOLE_SOCKET_SECONDS
        while time.monotonic() < deadline:
            if not self.running:
                break
            if self._console_socket.exists():
                return
            time.sleep(0.02)
        raise LabError(f"{self.spec.instance_id} ({self.spec.hostname}) did not start: see {self.console}")


def _seed_archive(spec: HostSpec) -> bytes:
    """The tar archive that the host's first boot reads, as cloud-init reads the metadata service."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in (
            ("authorized_keys", spec.authorized_key.encode()),
            ("user-data", spec.user_data),
        ):
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()
