"""The command that leads to a host (ssh_config(5), ProxyCommand), and the socket to speak through it."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import socket
import subprocess
import threading

from workloads.paths import PROJECT

# Names a file descriptor, to which a proxy command that knows it writes the Unix time at which it had connected.
CONNECTED_VARIABLE = "TIDEMARK_CONNECTED_FD"


def proxy_arguments(proxy_command: str, host: str, port: int) -> list[str]:
    """Returns the words of `proxy_command` with %h and %p (and %% for a per cent sign) filled in, as in
    ssh_config(5).
    """
    values = {"%h": host, "%p": str(port), "%%": "%"}
    return [re.sub("%[hp%]", lambda found: values[found[0]], word) for word in shlex.split(proxy_command)]


class ProxySocket:
    """A proxy command and the socket that leads through it.

    paramiko's own ProxyCommand reads pipes in a loop that spins for ever once the command has ended; a socket pair is
    a real socket, so the end of the command is the end of the stream.
    """

    def __init__(self, proxy_command: str, host: str, port: int) -> None:
        words = proxy_arguments(proxy_command, host, port)
        self._guard = threading.Lock()
        self._stderr: str | None = None
        self._connected_unix_s: float | None = None
        self.socket, far_end = socket.socketpair()
        self._connected_fd, write_fd = os.pipe()
        try:
            # A session of its own: Ctrl-C is for the task, which closes its connections in order.
            self.process: subprocess.Popen[bytes] = subprocess.Popen(
                words,
                stdin=far_end.fileno(),
                stdout=far_end.fileno(),
                stderr=subprocess.PIPE,
                cwd=PROJECT,  # a rehearsal's command names one of the project's modules
                start_new_session=True,
                pass_fds=[write_fd],
                env={**os.environ, CONNECTED_VARIABLE: str(write_fd)},
            )
        except OSError:
            self.socket.close()
            os.close(self._connected_fd)
            raise
        finally:
            far_end.close()
            os.close(write_fd)
        os.set_blocking(self._connected_fd, False)

    @property
    def connected_unix_s(self) -> float | None:
        """When the command had connected; None where it has not yet, or does not report it."""
        with self._guard:
            if self._stderr is None:
                self._read_connected()
            return self._connected_unix_s

    def _read_connected(self) -> None:
        with contextlib.suppress(BlockingIOError, ValueError):
            if content := os.read(self._connected_fd, 64):
                self._connected_unix_s = float(content)

    def close(self) -> str:
        """Ends the command; returns what it wrote to standard error, to every caller and from any thread."""
        with self._guard:
            if self._stderr is not None:
                return self._stderr
            self.socket.close()
            self._read_connected()
            os.close(self._connected_fd)
            try:
                self.process.wait(timeout=0.5)
            except subprocess.TimeoutExpired:
                self.process.terminate()
            try:
                _, stderr = self.process.communicate(timeout=2)
            except subprocess.TimeoutExpired:
                self.process.kill()
                _, stderr = self.process.communicate()
            self._stderr = stderr.decode(errors="replace").strip()
            return self._stderr
