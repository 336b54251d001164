"""The region's process: API, reconciler, gateway and control socket, in namespaces of their own.

Started by lab/control.py as process 1 of a new PID namespace: when it ends, however it ends, the kernel ends every
host and takes every interface, rule and mount away with it. Only files stay, and those lie in one folder.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from lab import metadata, service_model, vpc
from lab.clients import Clients
from lab.control import spare_from_memory_killer
from lab.endpoint import Endpoint
from lab.errors import LabError
from lab.image.build import hold
from lab.isolation import TEMPORARY
from lab.kernel.boot import BootFiles
from lab.ownership import chown_to_sudo_caller
from lab.process import run
from lab.reconcile import VOLUMES, Reconciler
from lab.service_model import ServiceModel

MEMORY = "memory"
"""The folder of the hosts' memory, in the region's own."""
POLL_SECONDS = 1.0
# A pass asks the API for the whole account, a tenth of a second of one of the CPUs that the hosts are measured on. So
# there is one after each call that may change something, while something is under way, and now and then.
RESYNC_SECONDS = 30.0

log = logging.getLogger("lab.region")


def make_memory_store(folder: Path) -> None:
    """Mount a file system in memory in which User Mode Linux keeps its hosts' memory, and let it know.

    Of its own accord it takes $TMPDIR, or /dev/shm, which may be small, or a disk. As much as a host has is mapped, and
    only what it uses is taken; no other limit than the machine's own may end it. Python's files stay out of it.
    """
    tempfile.tempdir = tempfile.gettempdir()
    folder.mkdir(mode=0o700)
    run(["mount", "-t", "tmpfs", "-o", "mode=0700,size=100%", "tidemark-memory", folder])
    for name in TEMPORARY:
        os.environ.pop(name, None)
    os.environ["TMPDIR"] = str(folder)


def make_volume_store(folder: Path) -> None:
    """Mount a file system in memory for the volumes' sparse files; nobody outside this namespace sees it.

    Where nothing was written they are holes, and a hole costs the same each time that it is read here. On a disk's file
    system the first read of one fills the page cache: the first cells of a run came out at half the rate of later ones.
    """
    folder.mkdir(mode=0o700)
    run(["mount", "-t", "tmpfs", "-o", "mode=0700", "tidemark-volumes", folder])


class Region:
    """All that runs, from `start` to `close`."""

    def __init__(self, folder: Path, files: BootFiles, region: str, listener: socket.socket) -> None:
        self._folder = folder
        self._held = [hold(file) for file in (files.kernel, files.image)]
        self._stopping = threading.Event()
        self._passes = 0
        self._model: ServiceModel | None = None
        vpc.create_namespace_interfaces()
        make_volume_store(folder / VOLUMES)
        make_memory_store(folder / MEMORY)
        inner = socket.create_server(("127.0.0.1", 0))
        self._endpoint = Endpoint(lambda instance_id: self._reconciler.console(instance_id))
        self._endpoint.serve(listener)
        self._endpoint.serve(inner)
        url = f"http://127.0.0.1:{inner.getsockname()[1]}"
        self._endpoint.add_debian_image(region, url)
        clients = Clients(url, region)
        self._metadata = metadata.serve(clients)
        wake = self._endpoint.changed.set
        self._reconciler = Reconciler(clients, files, folder, self._endpoint.forced_stops, self._say, wake)
        self._internet_gateway = self._start_internet_gateway()

    def run(self) -> None:
        """Reconcile until told to stop."""
        settled, last = False, 0.0
        while not self._stopping.is_set():
            called = take(self._endpoint.changed, POLL_SECONDS)
            if self._stopping.is_set():
                break
            rested = time.monotonic() - last > RESYNC_SECONDS
            if settled and not (called or rested):
                continue
            try:
                settled = self._reconciler.reconcile()
            except Exception:  # whatever one pass meets, the next pass tries again; the log has it whole
                log.exception("a pass failed")
                settled = False
                time.sleep(POLL_SECONDS)
            last = time.monotonic()
            self._passes += 1

    def stop(self) -> None:
        self._stopping.set()
        self._endpoint.changed.set()

    def close(self) -> None:
        self._reconciler.close()
        self._internet_gateway.kill()
        self._endpoint.close()
        self._metadata.shutdown()

    def status(self) -> dict[str, object]:
        model = None if self._model is None else self._model.to_dict()
        return {
            "passes": self._passes,
            "hosts": self._reconciler.states(),
            "model": model,
            "stopping": self._stopping.is_set(),
        }

    def apply_service_model(self, model: ServiceModel | None) -> None:
        """Let the file systems follow this service model."""
        self._model = model
        self._reconciler.apply_service_model(model)
        self._say(f"service model: {'none' if model is None else model.name}")

    def _start_internet_gateway(self) -> subprocess.Popen[str]:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            gateway = subprocess.Popen(
                [
                    "unshare",
                    "--net",
                    sys.executable,
                    "-m",
                    "lab.internet_gateway",
                    str(self._folder / "gateway"),
                    str(theirs.fileno()),
                ],
                stdout=subprocess.PIPE,
                text=True,
                pass_fds=[theirs.fileno()],
            )
            assert gateway.stdout is not None  # asked for above
            if gateway.stdout.readline().strip() != "ready":
                raise LabError(f"the gateway did not start: see {self._folder / 'region.log'}")
            (descriptor,) = socket.recv_fds(ours, 16, 1)[1]
        self._endpoint.serve_s3(socket.socket(fileno=descriptor))
        vpc.connect_internet(gateway.pid)
        return gateway

    def _say(self, line: str) -> None:
        log.info("%s", line)
        with (self._folder / "events").open("a") as events:
            events.write(f"{line}\n")


def take(event: threading.Event, seconds: float) -> bool:
    """Whether the event comes within that time; it is lowered only if it was seen.

    One that comes just after the wait has given up stays up for the next wait, and is not lost.
    """
    seen = event.wait(seconds)
    if seen:
        event.clear()
    return seen


def _serve_control(folder: Path, region: Region) -> None:
    """Answer `status`, `stop` and `model JSON` on a Unix socket, a line each way."""
    os.chdir(folder)
    Path("control").unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind("control")
    Path("control").chmod(0o600)
    listener.listen()

    def loop() -> None:
        while True:
            connection, _ = listener.accept()
            with connection, connection.makefile("rw") as stream:
                asked, _, argument = stream.readline().strip().partition(" ")
                if asked == "model":
                    document = json.loads(argument)
                    region.apply_service_model(None if document is None else service_model.from_dict(document, "model"))
                stream.write(json.dumps(region.status()) + "\n")
                if asked == "stop":
                    region.stop()

    threading.Thread(target=loop, name="control", daemon=True).start()


def _watch_lifeline(descriptor: int, region: Region) -> None:
    """Stop when the process at the other end of a pipe is gone, however it went."""

    def wait() -> None:
        while os.read(descriptor, 1):
            pass
        log.info("whoever started the region is gone: stopping")
        region.stop()

    threading.Thread(target=wait, name="lifeline", daemon=True).start()


def main() -> int:
    parser = argparse.ArgumentParser(prog="lab.region")
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--kernel", type=Path, required=True)
    parser.add_argument("--image", type=Path, required=True)
    parser.add_argument("--region", required=True)
    parser.add_argument("--listener", type=int, required=True)
    parser.add_argument("--lifeline", type=int)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    spare_from_memory_killer(os.getpid())
    region = Region(
        arguments.folder,
        BootFiles(arguments.kernel, arguments.image),
        arguments.region,
        socket.socket(fileno=arguments.listener),
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: region.stop())
    _serve_control(arguments.folder, region)
    if arguments.lifeline is not None:
        _watch_lifeline(arguments.lifeline, region)
    print("ready", flush=True)
    try:
        region.run()
    finally:
        region.close()
        for store in (VOLUMES, MEMORY):
            run(["umount", "--lazy", arguments.folder / store])
            (arguments.folder / store).rmdir()
        chown_to_sudo_caller(arguments.folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
