"""The internet side of the region: a process in a network namespace beyond the internet gateway.

A client connects to its Unix socket, sends a line with a host and a port, and is relayed there. So SSH from outside the
region arrives as from the internet: with an MTU of 1500 and through the security groups. A Unix socket is a file, which
crosses network namespaces.

AWS services with public addresses answer here, too: this process opens the port and passes the listening socket to the
region's process, which serves it. A socket stays in the namespace in which it was made.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import socket
import sys
from pathlib import Path
from typing import Any

CONNECT_SECONDS = 5
SERVICE_PORT = 80  # HTTP: a security group of this project lets it out
CHUNK_BYTES = 65536
GONE_POLL_SECONDS = 0.2
OK = b"ok\n"


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError, OSError):
        while chunk := await source.read(CHUNK_BYTES):
            sink.write(chunk)
            await sink.drain()
        if sink.can_write_eof():
            sink.write_eof()


async def _gone(near: socket.socket) -> None:
    """Returns when the other end is closed. An end of file is not enough: only one direction may have ended."""
    poll = select.poll()
    poll.register(near, 0)  # POLLHUP is always reported
    while not poll.poll(0):
        await asyncio.sleep(GONE_POLL_SECONDS)


async def _relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        host, port = (await reader.readline()).decode().split()
        far_reader, far_writer = await asyncio.wait_for(asyncio.open_connection(host, int(port)), CONNECT_SECONDS)
    except (OSError, ValueError, TimeoutError) as fault:
        reason = f"no answer in {CONNECT_SECONDS} s" if isinstance(fault, TimeoutError) else str(fault)
        with contextlib.suppress(ConnectionError):
            writer.write(f"{reason}\n".encode())
            await writer.drain()
        writer.close()
        return
    writer.write(OK)
    both = asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))
    gone = asyncio.create_task(_gone(writer.get_extra_info("socket")))
    ends: tuple[asyncio.Future[Any], ...] = (both, gone)
    await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    for end in ends:
        end.cancel()
    await asyncio.gather(*ends, return_exceptions=True)
    far_writer.close()
    writer.close()


def hand_over_services(descriptor: int) -> None:
    """Sends a listening socket of this namespace through the Unix socket with that descriptor."""
    with socket.socket(fileno=descriptor) as channel, socket.create_server(("", SERVICE_PORT), backlog=128) as listener:
        socket.send_fds(channel, [b"s3"], [listener.fileno()])


async def main(socket_path: Path) -> None:
    """Serves until killed; prints `ready` when it accepts connections."""
    os.chdir(socket_path.parent)  # a socket's path has 107 bytes at most; a checkout's may have more
    socket_path.unlink(missing_ok=True)
    os.umask(0o177)
    relays: set[asyncio.Task[None]] = set()  # the event loop keeps weak references only

    def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        relay = asyncio.create_task(_relay(reader, writer))
        relays.add(relay)
        relay.add_done_callback(relays.discard)

    server = await asyncio.start_unix_server(take, socket_path.name)
    print("ready", flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    if len(sys.argv) > 2:
        hand_over_services(int(sys.argv[2]))
    asyncio.run(main(Path(sys.argv[1])))
