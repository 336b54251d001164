# Lets md read every leg and compare them, from the start of each mirror as far as is asked. Arguments: BYTES ARRAY...
bytes=$1
shift
for array in "$@"; do
    md=/sys/block/$array/md
    read -r sectors < "/sys/block/$array/size"
    end=$((bytes / 512))
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
        # A check that stops short of the end waits there until it is told to be idle.
        if [ "$action" = idle ]; then
            break
        fi
        if [ "$last" != max ] && [[ $done_sectors =~ ^[0-9]+$ ]] && [ "$done_sectors" -ge "$last" ]; then
            break
        fi
        echo "comparing $array: $done_sectors" # a sign of life for the task
        sleep 0.5
    done
    echo idle > "$md/sync_action"
    read -r mismatches < "$md/mismatch_cnt"
    echo 0 > "$md/sync_min"
    echo max > "$md/sync_max"
    json '{"array": "%s", "mismatched_sectors": %s}' "$array" "$mismatches"
done
finish
# end of script
