# Reads a stripe's beginning from one leg of each of its mirrors alone, and counts the blocks that the worker wrote.
# Arguments: CHUNK_BYTES BYTES REQUEST_BYTES THREADS SEED ARRAY=LEG...
#
# Each array is a RAID-10 in the offset layout with as many copies as legs (drivers/md/raid10.c, __raid10_find_phys): copy f
# of chunk c lies on the leg (c + f) mod n, in the row (c div n) * n + f. So each leg has all chunks. The stripe is a
# RAID-0 without a label, chunk by chunk over the arrays. The worker's threads write a buffer each, made from the seed
# (workloads/native/random.h).
python3 -I - "$@" << 'PYTHON' || exit 1
import hashlib
import json
import mmap
import os
import struct
import sys

MASK = (1 << 64) - 1
GOLDEN = 0x9E3779B97F4A7C15


def mix(value):
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & MASK
    return value ^ (value >> 31)


def buffer_of(seed, thread, size):
    state = mix(seed ^ mix((2 * thread + 1 + GOLDEN) & MASK))
    words = []
    for _ in range(size // 8):
        state = (state + GOLDEN) & MASK
        words.append(mix(state))
    return struct.pack("<%dQ" % len(words), *words)


def value_of(array, disk, name):
    with open("/sys/block/%s/md/dev-%s/%s" % (array, disk, name)) as file:
        return int(file.read())


chunk, size, request, threads, seed = map(int, sys.argv[1:6])
legs = []
for pair in sys.argv[6:]:
    array, device = pair.split("=")
    disk = device[len("/dev/"):]
    with open("/sys/block/%s/md/raid_disks" % array) as file:
        disks = int(file.read().split()[0])
    descriptor = os.open(device, os.O_RDONLY | os.O_DIRECT)
    legs.append((descriptor, value_of(array, disk, "offset") * 512, value_of(array, disk, "slot"), disks))

digests = {hashlib.sha256(buffer_of(seed, thread, request)).digest() for thread in range(threads)}
page = mmap.mmap(-1, chunk)  # page-aligned, as O_DIRECT needs it
whole = hashlib.sha256()
block, blocks, written = b"", 0, 0
for place in range(0, size, chunk):
    number = place // chunk
    descriptor, offset, slot, disks = legs[number % len(legs)]
    row = number // len(legs)
    copy = (slot - row) % disks
    at = offset + (row // disks * disks + copy) * chunk
    if os.preadv(descriptor, [page], at) != chunk:
        sys.stderr.write("tidemark-error: a leg cannot be read at byte %d|see dmesg on that host\n" % at)
        sys.exit(1)
    whole.update(page[:])
    block += page[:]
    while len(block) >= request:
        written += hashlib.sha256(block[:request]).digest() in digests
        blocks += 1
        block = block[request:]
print(json.dumps({"sha256": whole.hexdigest(), "blocks": blocks, "written_blocks": written}))
PYTHON
finish
# end of script
