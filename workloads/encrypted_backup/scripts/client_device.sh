# What is on a device. Argument: DEVICE
# Says "contents": empty, ours (a LUKS2 volume with this project's label), or what is found there.
device=$1
HEAD_MIB=16 # where LUKS2 puts its header and keys (cryptsetup-luksFormat(8))
SAMPLES=64
SAMPLE_BYTES=65536
size=$(blockdev --getsize64 "$device") || die "$device can't be read" "see that the volume is attached"

# zero OFFSET BYTES
zero() {
    cmp --quiet --bytes="$2" --ignore-initial="$1:0" "$device" /dev/zero
}

contents=empty
signatures=$(wipefs --noheadings --output TYPE "$device" | sort -u | tr '\n' ' ')
if cryptsetup isLuks --type luks2 "$device" && [ "$(blkid --probe --output value --match-tag LABEL "$device")" = "$LABEL" ]; then
    contents=ours
elif [ -n "$signatures" ]; then
    contents=${signatures% }
else
    zero 0 $((HEAD_MIB << 20)) || contents="data within its first $HEAD_MIB MiB"
    for ((sample = 1; sample <= SAMPLES; sample++)); do
        [ "$contents" = empty ] || break
        offset=$(((size - SAMPLE_BYTES) / SAMPLES * sample))
        zero "$offset" "$SAMPLE_BYTES" || contents="data at byte $offset"
    done
fi
printf '{"device": "%s", "size_bytes": %s, "contents": "%s"}\n' "$device" "$size" "$contents"
finish
# end of script
