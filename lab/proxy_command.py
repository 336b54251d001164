"""`python3 -m lab.proxy_command HOST PORT`: a ProxyCommand for SSH into the running region.

Standard input and output become the connection. Only the standard library is needed, so any Python starts it.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import sys
import time

from lab.paths import lab_dir, socket_address

CHUNK_BYTES = 65536


def connect(host: str, port: int) -> socket.socket:
    """Connects to a host of the region. Raises OSError with the reason."""
    gateway = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with socket_address(lab_dir() / "gateway") as address:
        gateway.connect(address)
    gateway.sendall(f"{host} {port}\n".encode())
    reply = b""
    while not reply.endswith(b"\n"):
        byte = gateway.recv(1)
        if not byte:
            break
        reply += byte
    if reply != b"ok\n":
        raise OSError(reply.decode(errors="replace").strip() or "the internet gateway closed the connection")
    return gateway


def main() -> int:
    try:
        gateway = connect(sys.argv[1], int(sys.argv[2]))
    except OSError as fault:
        print(
            f"lab.proxy_command: {sys.argv[1]} port {sys.argv[2]}: {fault}; is the region up? (fab lab.status)",
            file=sys.stderr,
        )
        return 1
    _report_connected()
    try:
        _copy_both_ways(gateway)
    except ConnectionError:  # SSH or the region has gone; SSH prints that itself
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # for the rest of the buffer, which Python flushes at its exit
        return 1
    return 0


def _report_connected() -> None:
    """Writes the time of the connection to the descriptor TIDEMARK_CONNECTED_FD, if the caller set that."""
    if (descriptor := os.environ.get("TIDEMARK_CONNECTED_FD", "")).isdigit():
        with contextlib.suppress(OSError):
            os.write(int(descriptor), f"{time.time():.6f}\n".encode())
            os.close(int(descriptor))


def _copy_both_ways(gateway: socket.socket) -> None:
    """Copies standard input to the host and the host to standard output, until the host closes the connection."""
    selector = selectors.DefaultSelector()
    selector.register(gateway, selectors.EVENT_READ, 1)
    selector.register(0, selectors.EVENT_READ, 0)
    while True:
        for key, _ in selector.select():
            if key.data == 1:
                chunk = gateway.recv(CHUNK_BYTES)
                if not chunk:
                    return
                sys.stdout.buffer.write(chunk)
                sys.stdout.buffer.flush()
            else:
                chunk = os.read(0, CHUNK_BYTES)
                if chunk:
                    gateway.sendall(chunk)
                else:
                    selector.unregister(0)
                    gateway.shutdown(socket.SHUT_WR)


if __name__ == "__main__":
    sys.exit(main())
