# Clears the labels of an array that never ran, or whose data are not wanted any more. Arguments: DEVICE...
# Data begins beyond the first MiB (mdadm aligns it to 1 MiB at least), so only the label is cleared.
for device in "$@"; do
    for md in /sys/block/md*/slaves/"${device#/dev/}"; do
        [ -e "$md" ] || continue
        name=${md#/sys/block/}
        stop_array "${name%%/*}"
    done
    quiet dd if=/dev/zero of="$device" bs=1M count=1 oflag=direct conv=fsync
    did "cleared the unfinished label of $device"
done
finish
# end of script
