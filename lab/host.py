"""The host behind one instance of the API: a User Mode Linux process with its disks.

Root is a copy-on-write file over the shared image, ubda; the seed (launch key, user data) is ubdb; volumes are added
while the host runs, as on EC2, each with its id as the disk's serial.
"""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import signal
import subprocess
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lab.errors import LabError
from lab.kernel.uml import BOOT_LINE, BootFiles, ExitWatch, Hardware, OnExit, boot, mconsole
from lab.process import HOST_OOM_SCORE, set_oom_score, wait_until

FIRST_VOLUME_UNIT = 2  # ubda is the root, ubdb the seed
LAST_VOLUME_UNIT = 15  # the ubd driver has 16 units
STOP_SECONDS = 20  # EC2 gives a guest minutes; these shut down in about two seconds
CONSOLE_SOCKET_SECONDS = 10


@dataclass(frozen=True)
class HostSpec:
    """What a host needs to know of its instance."""

    hardware: Hardware  # its name is the instance's id
    hostname: str
    address: str  # with prefix length: 10.20.1.10/24
    gateway: str
    authorized_key: str
    user_data: bytes
    block_limits: Path  # the file of its volumes' limits


class Host:
    """A host's process and files. The files outlast a stop, as an EBS root volume does."""

    def __init__(self, spec: HostSpec, folder: Path, on_exit: OnExit, *, files: BootFiles) -> None:
        """`on_exit` is called, in another thread, when the process exits without `stop`, `kill` or `remove`."""
        self.spec = spec
        self.folder = folder
        self.console = folder / "console.log"
        self._files = files
        self._on_exit = on_exit
        self._process: subprocess.Popen[bytes] | None = None
        self._exit: ExitWatch | None = None
        self._units: dict[str, int] = {}  # volume id -> ubd unit
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def exited(self) -> bool:
        """Whether it was started and its process has exited by itself."""
        return self._process is not None and self._process.poll() is not None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None and self.running else None

    @property
    def attached(self) -> frozenset[str]:
        return frozenset(self._units)

    def start(self, volumes: Mapping[str, Path]) -> None:
        """Boots with these disks, by volume id. Raises LabError if the kernel exits at once; its console says why."""
        spec = self.spec
        self._units = {volume_id: unit for unit, volume_id in enumerate(sorted(volumes), FIRST_VOLUME_UNIT)}
        shutil.rmtree(self.folder / spec.hardware.name, ignore_errors=True)  # the sockets of a host that was killed
        seed = self.folder / "seed.tar"
        seed.write_bytes(_seed_archive(spec))
        with self.console.open("a") as console:
            console.write(f"\n{BOOT_LINE}\n")
        self._process = boot(
            spec.hardware,
            self._files,
            self.folder,
            [
                f"ubd1r={seed}",
                *(f"ubd{unit}={volumes[volume_id]},,{volume_id}" for volume_id, unit in self._units.items()),
                f"lab.hostname={spec.hostname}",
                f"lab.address={spec.address}",
                f"lab.gateway={spec.gateway}",
            ],
            block_limits=spec.block_limits,
        )
        set_oom_score(self._process.pid, HOST_OOM_SCORE)
        self._exit = ExitWatch(self._process, self._on_exit)
        wait_until(
            lambda: not self.running or self._console_socket.exists(),
            timeout_seconds=CONSOLE_SOCKET_SECONDS,
            interval_seconds=0.02,
        )
        if not (self.running and self._console_socket.exists()):
            raise LabError(f"{spec.hardware.name} ({spec.hostname}) did not start: see {self.console}")

    @property
    def ready_for_volumes(self) -> bool:
        """Whether its user space has set the host name, so the disk driver is up: a disk added earlier is a panic."""
        try:
            return mconsole(self._console_socket, "version", timeout_seconds=1).split()[1] == self.spec.hostname
        except LabError:
            return False

    def attach(self, volume_id: str, disk: Path) -> None:
        """Adds a volume to a running host that is `ready_for_volumes`; succeeds if it is already attached."""
        if volume_id in self._units:
            return
        taken = set(self._units.values())
        free = [unit for unit in range(FIRST_VOLUME_UNIT, LAST_VOLUME_UNIT + 1) if unit not in taken]
        if not free:
            count = LAST_VOLUME_UNIT - FIRST_VOLUME_UNIT + 1
            raise LabError(f"{self.spec.hardware.name}: {count} volumes are attached, no more fit")
        mconsole(self._console_socket, f"config ubd{free[0]}={disk},,{volume_id}")
        self._units[volume_id] = free[0]

    def detach(self, volume_id: str) -> None:
        """Removes a volume. Raises LabError while the host still uses it, as EC2 leaves it `detaching`."""
        if volume_id in self._units:
            if self.running:
                mconsole(self._console_socket, f"remove ubd{self._units[volume_id]}")
            del self._units[volume_id]

    def stop(self) -> None:
        """Presses the power button and waits; kills a host that does not shut down."""
        if self._process is not None and self.running:
            self._expect_exit()
            try:
                mconsole(self._console_socket, "cad")
                self._process.wait(STOP_SECONDS)
            except (LabError, subprocess.TimeoutExpired):
                pass
        self.kill()

    def kill(self) -> None:
        """Cuts the power: nothing is flushed."""
        if self._process is None:
            return
        self._expect_exit()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._process = None
        self._units = {}

    def report_exit(self) -> None:
        """Returns when the exit of a host that `exited` has been reported; the host can be started again then."""
        if self._exit is not None:
            self._exit.report()
        self.kill()

    def remove(self) -> None:
        """Kills the host and deletes its disks; the console log stays."""
        self.kill()
        for name in ("root.cow", "seed.tar"):
            (self.folder / name).unlink(missing_ok=True)
        shutil.rmtree(self.folder / self.spec.hardware.name, ignore_errors=True)

    def _expect_exit(self) -> None:
        if self._exit is not None:
            self._exit.expect()

    @property
    def _console_socket(self) -> Path:
        return self.folder / self.spec.hardware.name / "mconsole"


def _seed_archive(spec: HostSpec) -> bytes:
    """Returns the tar archive that a host reads at its first boot, as cloud-init reads the metadata service."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in (("authorized_keys", spec.authorized_key.encode()), ("user-data", spec.user_data)):
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()
