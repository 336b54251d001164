"""The disk driver of User Mode Linux, as lab/kernel/volume_limits.c sees it: a thread that reads addresses of requests
from a socket, does them, and writes the addresses back (arch/um/drivers/ubd_kern.c of Linux).

Run by `python3 - SECONDS STREAM...`, a stream being FILE,BYTES,IN_FLIGHT: so many requests of so many bytes at any
time. Prints a list of the streams' requests per second as JSON.
"""

import json
import os
import select
import socket
import struct
import sys
import threading
import time

ADDRESS = struct.Struct("Q")
AT_ONCE = 64


def serve(requests: socket.socket, files: list[int], sizes: list[int]) -> None:
    while True:
        try:
            found = os.read(requests.fileno(), AT_ONCE * ADDRESS.size)
        except BlockingIOError:
            select.select([requests], [], [])
            continue
        for (number,) in ADDRESS.iter_unpack(found):
            os.pread(files[number], sizes[number], 0)
        os.write(requests.fileno(), found)


def main() -> None:
    seconds, streams = float(sys.argv[1]), [word.split(",") for word in sys.argv[2:]]
    files = [os.open(name, os.O_RDONLY) for name, _, _ in streams]
    theirs, ours = socket.socketpair()
    theirs.setblocking(False)
    threading.Thread(target=serve, args=(theirs, files, [int(size) for _, size, _ in streams]), daemon=True).start()
    for number, (_, _, in_flight) in enumerate(streams):
        ours.sendall(ADDRESS.pack(number) * int(in_flight))
    counts = [0] * len(streams)
    began, before = time.monotonic(), None
    while True:
        for (number,) in ADDRESS.iter_unpack(ours.recv(ADDRESS.size, socket.MSG_WAITALL)):
            counts[number] += 1
            ours.sendall(ADDRESS.pack(number))
        passed = time.monotonic() - began
        if before is None and passed > seconds / 4:
            before, since = list(counts), passed
        if before is not None and passed > seconds:
            print(json.dumps([(now - then) / (passed - since) for now, then in zip(counts, before, strict=True)]))
            sys.stdout.flush()
            os._exit(0)


main()
