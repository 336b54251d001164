# Reads samples of each leg and refuses one that is not zero. Arguments: VOLUME_ID...
#
# An array made with --assume-clean takes its legs to be equal; they are when all read as zero. A fresh EBS volume
# does, as EC2 documents; this finds a volume that is not fresh. Previous contents leave traces in
# known places: partition tables, md and LVM labels and most superblocks lie in the first or last MiB, and file
# systems spread theirs over the volume (ext4 a group at every 128 MiB). So the first and the last MiB are read
# whole, and 64 KiB at every 64 MiB between. Reading all would take a volume at its 160 MiB/s 96 s, and the
# single CPU of a rehearsal host minutes.
python3 -I - "$STATE/zeroed" "$@" << 'PYTHON' || exit 1
import concurrent.futures
import json
import mmap
import os
import sys
import time

MIB = 1 << 20
PIECE = 64 << 10
STRIDE = 64 * MIB

directory, *volumes = sys.argv[1:]
os.makedirs(directory, exist_ok=True)


def sample(volume):
    """Reads the places; returns the fact, or in the place of it the first byte that is not zero."""
    buffer = mmap.mmap(-1, MIB)  # page-aligned, as O_DIRECT needs it
    leg = os.open("/dev/tidemark-%s/leg" % volume, os.O_RDONLY | os.O_DIRECT)
    size = os.lseek(leg, 0, os.SEEK_END)
    places = [(0, MIB), (size - MIB, MIB)]
    places += [(offset, PIECE) for offset in range(STRIDE, size - MIB, STRIDE)]
    bytes_read = 0
    for offset, length in places:
        view = memoryview(buffer)[:length]
        got = os.preadv(leg, [view], offset)
        bytes_read += got
        if got != length or buffer[:length].count(0) != length:
            return None, offset
    os.close(leg)
    return {"volume": volume, "size_bytes": size, "bytes_read": bytes_read, "zero": True, "t_unix_s": time.time()}, 0


# All volumes at once: a volume's operations are what takes the time.
with concurrent.futures.ThreadPoolExecutor(len(volumes)) as pool:
    found = dict(zip(volumes, pool.map(sample, volumes)))
for volume, (fact, offset) in found.items():
    if fact is None:
        sys.stderr.write(
            "tidemark-error: volume %s does not read as zero at byte %d|"
            "give a fresh volume; or, if nothing on it is wanted, run blkdiscard --zeroout %s on that host\n"
            % (volume, offset, "/dev/tidemark-%s/leg" % volume)
        )
        sys.exit(1)
    path = "%s/%s.json" % (directory, volume)
    with open(path + ".new", "w") as file:
        json.dump(fact, file)
    os.replace(path + ".new", path)
    print(json.dumps(fact))
PYTHON
finish
# end of script
