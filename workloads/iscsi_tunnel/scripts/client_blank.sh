# Checks by samples that a disk is empty and may be written to. Arguments: DEVICE OFFSET LENGTH
# Encrypted data has no label, so labels are not enough: all samples must read as zero. They are the first and the last MiB,
# 64 KiB at each 256 MiB, and the whole range that is to be written.
python3 -I - "$@" << 'PYTHON' || exit 1
import json, mmap, os, sys

MIB = 1 << 20
device, offset, length = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
buffer = mmap.mmap(-1, MIB)  # page-aligned, as O_DIRECT needs it
disk = os.open(device, os.O_RDONLY | os.O_DIRECT)
size = os.lseek(disk, 0, os.SEEK_END)
places = [(0, MIB), (size - MIB, MIB)]
places += [(place, 64 << 10) for place in range(256 * MIB, size - MIB, 8192 * MIB)]
places += [(place, MIB) for place in range(offset, offset + length, MIB)]
blank = True
for place, count in places:
    view = memoryview(buffer)[:count]
    got = os.preadv(disk, [view], place)
    if buffer[:got].count(0) != got:
        blank = False
        break
print(json.dumps({"blank": blank, "at": None if blank else place, "size_bytes": size}))
PYTHON
finish
# end of script
