"""The region's process: API, reconciler, internet gateway and control socket, in namespaces of their own.

lab/control.py starts it as process 1 of a new PID namespace: when it exits, for any reason, the kernel ends every host
and removes every interface, rule and mount. Only files stay, all in one folder.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import signal
import socket
import socketserver
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from lab import metadata, service_model, vpc
from lab.cache import lock_for_use
from lab.clients import Clients
from lab.endpoint import Endpoint, RegionApi
from lab.errors import LabError
from lab.file_server import FileServer
from lab.host import Host
from lab.isolation import TEMPORARY
from lab.kernel.uml import BootFiles
from lab.paths import chown_to_sudo_caller
from lab.process import REGION_OOM_SCORE, run, set_oom_score
from lab.reconcile import VOLUMES, Reconciler
from lab.service_model import ServiceModel

MEMORY = "memory"
"""The folder of the hosts' memory, in the region's folder."""
POLL_SECONDS = 1.0
# A pass reads the whole account, which takes a tenth of a second of one of the CPUs that the hosts are measured on. So
# there is one after each call that may change something, one a second while something is unfinished, and a few besides.
RESYNC_SECONDS = 30.0

log = logging.getLogger("lab.region")


def make_memory_store(folder: Path) -> None:
    """Mounts a file system in memory in which User Mode Linux keeps its hosts' memory, and points $TMPDIR to it.

    By default User Mode Linux takes $TMPDIR or /dev/shm, which may be small, or on a disk. All of a host's memory is
    mapped and only what it uses is allocated; the machine's memory is the only limit. Python's files stay elsewhere.
    """
    tempfile.tempdir = tempfile.gettempdir()
    folder.mkdir(mode=0o700)
    run(["mount", "-t", "tmpfs", "-o", "mode=0700,size=100%", "tidemark-memory", folder])
    for name in TEMPORARY:
        os.environ.pop(name, None)
    os.environ["TMPDIR"] = str(folder)


def make_volume_store(folder: Path) -> None:
    """Mounts a file system in memory for the volumes' sparse files, in this namespace only.

    A hole costs the same each time that it is read here. On a disk's file system the first read of one fills the page
    cache: the first cells of a run came out at half the rate of later ones.
    """
    folder.mkdir(mode=0o700)
    run(["mount", "-t", "tmpfs", "-o", "mode=0700", "tidemark-volumes", folder])


class ReconcileLoop:
    """Repeats `reconcile` after each change, while it returns False, and every RESYNC_SECONDS."""

    def __init__(
        self,
        reconcile: Callable[[], bool],
        changed: threading.Event,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.passes = 0
        self._stopping = threading.Event()
        self._reconcile = reconcile
        self._changed = changed
        self._clock = clock
        self._sleep = sleep

    def run(self) -> None:
        """Returns after `stop`."""
        settled, last = False, 0.0
        while not self._stopping.is_set():
            changed = wait_and_clear(self._changed, POLL_SECONDS)
            if self._stopping.is_set():
                break
            if settled and not changed and self._clock() - last <= RESYNC_SECONDS:
                continue
            try:
                settled = self._reconcile()
            except Exception:  # whatever made one pass fail, the next one tries again
                log.exception("a pass failed")
                settled = False
                self._sleep(POLL_SECONDS)
            last = self._clock()
            self.passes += 1

    def stop(self) -> None:
        self._stopping.set()
        self._changed.set()

    @property
    def stopping(self) -> bool:
        return self._stopping.is_set()


def wait_and_clear(event: threading.Event, seconds: float) -> bool:
    """Returns whether the event was set within that time; clears it only if so.

    An event that is set just after the wait has timed out is not lost: the next wait sees it.
    """
    seen = event.wait(seconds)
    if seen:
        event.clear()
    return seen


class Region:
    """All that runs, from the constructor to `close`."""

    def __init__(self, folder: Path, files: BootFiles, region: str, listener: socket.socket) -> None:
        self._folder = folder
        self._in_use = [lock_for_use(file) for file in (files.kernel, files.image)]
        self._model: ServiceModel | None = None
        vpc.prepare_namespace()
        make_volume_store(folder / VOLUMES)
        make_memory_store(folder / MEMORY)
        inner = socket.create_server(("127.0.0.1", 0))
        self._endpoint = Endpoint(lambda instance_id: self._reconciler.console(instance_id))
        self._endpoint.serve(listener)
        self._endpoint.serve(inner)
        url = f"http://127.0.0.1:{inner.getsockname()[1]}"
        clients = Clients(url, region)
        self._endpoint.add_debian_image(clients)
        self._metadata = metadata.serve(clients)
        self._reconciler = Reconciler(
            RegionApi(clients, self._endpoint),
            vpc.Network(),
            partial(Host, files=files),
            partial(FileServer, files=files),
            folder,
            self._say,
        )
        self._loop = ReconcileLoop(self._reconciler.reconcile, self._endpoint.changed)
        self._internet_gateway = self._start_internet_gateway()

    def run(self) -> None:
        """Reconciles until `stop`."""
        self._loop.run()

    def stop(self) -> None:
        self._loop.stop()

    def close(self) -> None:
        self._reconciler.close()
        self._internet_gateway.kill()
        self._endpoint.close()
        self._metadata.shutdown()

    def status(self) -> dict[str, object]:
        model = None if self._model is None else self._model.to_dict()
        return {
            "passes": self._loop.passes,
            "hosts": self._reconciler.states(),
            "model": model,
            "stopping": self._loop.stopping,
        }

    def apply_service_model(self, model: ServiceModel | None) -> None:
        """Applies a service model to the service that it is of; the others are held to none."""
        self._reconciler.apply_service_model(model)
        self._model = model
        self._say(f"service model: {'none' if model is None else model.name}")

    def _start_internet_gateway(self) -> subprocess.Popen[str]:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            command = [
                sys.executable,
                "-m",
                "lab.internet_gateway",
                str(self._folder / "gateway"),
                str(theirs.fileno()),
            ]
            gateway = subprocess.Popen(
                ["unshare", "--net", *command], stdout=subprocess.PIPE, text=True, pass_fds=[theirs.fileno()]
            )
            assert gateway.stdout is not None  # asked for above
            if gateway.stdout.readline().strip() != "ready":
                raise LabError(f"the internet gateway did not start: see {self._folder / 'region.log'}")
            (descriptor,) = socket.recv_fds(ours, 16, 1)[1]
        self._endpoint.serve_s3(socket.socket(fileno=descriptor))
        vpc.connect_internet(gateway.pid)
        return gateway

    def _say(self, line: str) -> None:
        log.info("%s", line)
        with (self._folder / "events").open("a") as events:
            events.write(f"{line}\n")


def _serve_control(folder: Path, region: Region) -> None:
    """Answers `status`, `stop` and `model JSON` on a Unix socket, with one line for each."""

    class Answer(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            command, _, argument = self.rfile.readline().decode().strip().partition(" ")
            try:
                if command == "model":
                    document = json.loads(argument)
                    region.apply_service_model(None if document is None else service_model.from_dict(document, "model"))
                found = region.status()
            except LabError as fault:
                found = {"error": str(fault)}
            self.wfile.write(f"{json.dumps(found)}\n".encode())
            if command == "stop":
                region.stop()

    os.chdir(folder)  # a socket's path has 107 bytes at most; a checkout's may have more
    Path("control").unlink(missing_ok=True)
    # An error in an answer, such as who asked being interrupted, is printed, and the next one gets an answer.
    server = socketserver.UnixStreamServer("control", Answer)
    Path("control").chmod(0o600)
    threading.Thread(target=server.serve_forever, name="control", daemon=True).start()


def _watch_lifeline(descriptor: int, region: Region) -> None:
    """Stops the region when the process at the other end of a pipe has exited."""

    def wait() -> None:
        while os.read(descriptor, 1):
            pass
        log.info("the process that started the region has exited: stopping")
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
    set_oom_score(os.getpid(), REGION_OOM_SCORE)
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
