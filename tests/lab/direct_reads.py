"""Run on a host by `python3 - SECONDS REQUEST_BYTES THREADS PATTERN DEVICE...`: reads past the caches, each device with
so many threads, by PATTERN `sequential` or `random`, and prints bytes and operations per second as JSON.

Half a second before the SECONDS does not count: what a volume may catch up on is done by then.
"""

import json
import mmap
import os
import random
import sys
import threading
import time

SPAN_BYTES = 8 << 30


def main() -> None:
    seconds, size, per_device = float(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    threads = [device for device in sys.argv[5:] for _ in range(per_device)]
    counts = [0] * len(threads)

    def read(number: int, device: str) -> None:
        descriptor, buffer = os.open(device, os.O_RDONLY | os.O_DIRECT), mmap.mmap(-1, size)
        offset = number * SPAN_BYTES // per_device % SPAN_BYTES
        while True:
            if sys.argv[4] == "random":
                offset = random.randrange(SPAN_BYTES // size) * size
            os.preadv(descriptor, [buffer], offset)
            offset += size
            counts[number] += 1

    for number, device in enumerate(threads):
        threading.Thread(target=read, args=(number, device), daemon=True).start()
    time.sleep(0.5)
    before, began = sum(counts), time.perf_counter()
    time.sleep(seconds)
    per_s = (sum(counts) - before) / (time.perf_counter() - began)
    print(json.dumps({"bytes_per_s": per_s * size, "operations_per_s": per_s}), flush=True)
    os._exit(0)


main()
