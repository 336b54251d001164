# Functions of md-raid's scripts; sent after the libraries in workloads/scripts.
# shellcheck disable=SC2034  # the scripts use it
IFACE=tidemark-md-raid

# ignored ARRAY...: prints lines for mdadm's configuration that keep our arrays, known by name, from being assembled
# automatically.
ignored() {
    printf 'ARRAY <ignore> metadata=1.2 name=tidemark:%s\n' "$@"
}

# stop_array NAME: stops an md array. udev opens a device that was just closed, and keeps it in use for a moment.
stop_array() {
    local try holder
    for holder in "/sys/block/$1/holders/"md*; do
        if [ -e "$holder" ]; then
            stop_array "${holder##*/}"
        fi
    done
    for try in 1 2 3 4 5 6 7 8 9 10; do
        if mdadm --stop "/dev/$1" > /dev/null 2>&1; then
            did "stopped $1"
            return 0
        fi
        udevadm settle --timeout=10 || true
        sleep "0.$try"
    done
    quiet mdadm --stop "/dev/$1" \
        || die "/dev/$1 is in use and cannot be stopped" "see what uses it (lsof /dev/$1, lsblk) on that host"
    did "stopped $1"
}

# refuse_held DEVICE...: ends the script when an array, or anything else, holds one of the devices.
refuse_held() {
    local device holder
    for device in "$@"; do
        for holder in "/sys/block/${device#/dev/}/holders/"*; do
            [ ! -e "$holder" ] || die "$device is held by ${holder##*/}" "see lsblk $device on that host, and run configure again"
        done
    done
}

# hide_from_udev: keeps udev from assembling what it finds on temporary arrays and on the legs that they free: their first
# blocks are those of an array with a label. The rule lasts until client_stop.sh or the next boot.
BENCH_RULE=/run/udev/rules.d/63-tidemark-bench.rules
hide_from_udev() {
    [ ! -e "$BENCH_RULE" ] || return 0
    put "$BENCH_RULE" "SUBSYSTEM==\"block\", ENV{ID_FS_TYPE}==\"linux_raid_member\", ENV{ID_FS_LABEL}==\"tidemark?md*\", ENV{ID_FS_TYPE}=\"\", OPTIONS+=\"nowatch\""
    udevadm control --reload
}
