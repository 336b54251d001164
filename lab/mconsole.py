"""The management console of a User Mode Linux host: a datagram socket that takes one command a packet.

The protocol is that of the kernel's arch/um/drivers/mconsole.h, version 2.
"""

from __future__ import annotations

import os
import socket
import struct
from pathlib import Path

from lab.errors import LabError
from lab.paths import socket_address

MAGIC = 0xCAFEBABE
VERSION = 2
MAX_DATA_BYTES = 512
REQUEST = struct.Struct(f"=IiI{MAX_DATA_BYTES}s")  # magic, version, length, data
REPLY_HEADER = struct.Struct("=III")  # error, more follows, length; the data follow, often cut short


def mconsole(socket_path: Path, command: str, timeout_seconds: float = 5) -> str:
    """Sends a command and returns the text of the reply.

    Raises LabError if the host refuses it, or does not answer in time (it has died or is not up yet).
    """
    data = command.encode()
    if len(data) >= MAX_DATA_BYTES:
        raise LabError(
            f"mconsole {socket_path.parent.name}: the command has {len(data)} bytes, {MAX_DATA_BYTES - 1} fit"
        )
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client:
        client.settimeout(timeout_seconds)
        client.bind(f"\0tidemark-mconsole-{os.getpid()}-{id(client)}")
        try:
            with socket_address(socket_path) as address:
                client.sendto(REQUEST.pack(MAGIC, VERSION, len(data), data), address)
            text = b""
            while True:
                packet = client.recv(REPLY_HEADER.size + MAX_DATA_BYTES)
                error, more, length = REPLY_HEADER.unpack_from(packet)
                text += packet[REPLY_HEADER.size :][:length].rstrip(b"\0")
                if not more:
                    break
        except (OSError, struct.error) as fault:
            raise LabError(f"mconsole {socket_path.parent.name}: {command.split()[0]}: {fault}") from fault
    reply = text.decode(errors="replace").strip()
    if error:
        raise LabError(f"mconsole {socket_path.parent.name}: {command.split()[0]}: {reply or error}")
    return reply
