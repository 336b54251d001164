# Makes md read all legs and compare them, over the first BYTES of each mirror. Arguments: BYTES ARRAY...
bytes=$1
shift
REST_SECONDS=60

# at_rest ARRAY: ends a check, and waits until md is idle. Until then the kernel refuses another range (sync_min, sync_max:
# EBUSY).
at_rest() {
    local md=/sys/block/$1/md action asked=
    SECONDS=0
    while true; do
        read -r action < "$md/sync_action"
        [ "$action" != idle ] || return 0
        if [ "$action" = check ] && [ -z "$asked" ]; then
            echo idle > "$md/sync_action"
            asked=yes
        fi
        [ "$SECONDS" -lt "$REST_SECONDS" ] \
            || die "$1 has not come to rest in $REST_SECONDS s ($action)" "wait for its end (/proc/mdstat), then run again"
        rest 0.1
    done
}

for array in "$@"; do
    md=/sys/block/$array/md
    read -r sectors < "/sys/block/$array/size"
    end=$((bytes / 512))
    at_rest "$array"
    echo 0 > "$md/sync_min"
    if [ "$end" -lt "$sectors" ]; then
        echo "$end" > "$md/sync_max"
    else
        echo max > "$md/sync_max"
    fi
    echo check > "$md/sync_action"
done
for array in "$@"; do
    md=/sys/block/$array/md
    while true; do
        read -r action < "$md/sync_action"
        read -r done_sectors _ _ < "$md/sync_completed"
        read -r last < "$md/sync_max"
        # A check that stops at sync_max stays active until "idle" is written.
        if [ "$action" = idle ]; then
            break
        fi
        if [ "$last" != max ] && [[ $done_sectors =~ ^[0-9]+$ ]] && [ "$done_sectors" -ge "$last" ]; then
            break
        fi
        echo "comparing $array: $done_sectors" # so that the task's idle timeout does not end
        rest 0.5
    done
    at_rest "$array"
    read -r mismatches < "$md/mismatch_cnt"
    echo 0 > "$md/sync_min"
    echo max > "$md/sync_max"
    json '{"array": "%s", "mismatched_sectors": %s}' "$array" "$mismatches"
done
finish
# end of script
