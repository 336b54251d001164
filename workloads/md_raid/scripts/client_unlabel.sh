# Clears the labels of an array whose creation was cut short, and which never ran. Arguments: DEVICE...
# The data begins beyond the first MiB (mdadm aligns it to 1 MiB at least), so nothing but the label is there.
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
