# Prints the contents of a device: empty, ours (a LUKS2 volume with this project's label), or what was found. Argument: DEVICE
device=$1
size=$(blockdev --getsize64 "$device") || die "$device can't be read" "see that the volume is attached"

# data: prints where the device holds data; nothing when the samples are all zeros.
data() {
    python3 -I - "$device" "$size" << 'END_OF_PYTHON'
import os
import sys

HEAD_MIB = 16  # where LUKS2 puts its header and keys (cryptsetup-luksFormat(8))
SAMPLES = 64
SAMPLE_BYTES = 65536
device = os.open(sys.argv[1], os.O_RDONLY)
size = int(sys.argv[2])
os.posix_fadvise(device, 0, 0, os.POSIX_FADV_RANDOM)
for mib in range(min(HEAD_MIB, size >> 20)):
    if os.pread(device, 1 << 20, mib << 20).strip(b"\0"):
        sys.exit(print(f"data within its first {HEAD_MIB} MiB"))
for sample in range(1, SAMPLES + 1):
    offset = (size - SAMPLE_BYTES) // SAMPLES * sample
    if os.pread(device, SAMPLE_BYTES, offset).strip(b"\0"):
        sys.exit(print(f"data at byte {offset}"))
END_OF_PYTHON
}

# First: wipefs and cryptsetup then find what they read in the page cache.
contents=$(data) || die "$device can't be read" "see the lines above"
signatures=$(wipefs --noheadings --output TYPE "$device" | sort -u | tr '\n' ' ')
if [ "$signatures" = "crypto_LUKS " ] && cryptsetup isLuks --type luks2 "$device" \
    && [ "$(blkid --probe --output value --match-tag LABEL "$device")" = "$LABEL" ]; then
    contents=ours
elif [ -n "$signatures" ]; then
    contents=${signatures% }
fi
json '{"device": "%s", "size_bytes": %s, "contents": "%s"}' "$device" "$size" "${contents:-empty}"
finish
# end of script
