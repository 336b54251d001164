# Adds legs to their mirrors again. Arguments: ARRAY=DEVICE,DEVICE...
for pair in "$@"; do
    array=${pair%%=*}
    IFS=, read -r -a devices <<< "${pair#*=}"
    faulty=()
    away=()
    for device in "${devices[@]}"; do
        state=/sys/block/$array/md/dev-${device#/dev/}/state
        if [ ! -e "$state" ]; then
            away+=("$device")
        elif [[ $(< "$state") == *faulty* ]]; then
            faulty+=("$device")
            away+=("$device")
        fi
    done
    [ "${#away[@]}" -gt 0 ] || continue
    if [ "${#faulty[@]}" -gt 0 ]; then
        quiet mdadm "/dev/$array" --remove "${faulty[@]}" \
            || die "${faulty[*]}, faulty in $array, cannot be removed" "see mdadm --detail /dev/$array on that host"
    fi
    how=re-add
    if ! mdadm "/dev/$array" --re-add "${away[@]}" > /dev/null 2>&1; then
        for device in "${away[@]}"; do
            if [ -e "/sys/block/$array/md/dev-${device#/dev/}" ] || mdadm "/dev/$array" --re-add "$device" > /dev/null 2>&1; then
                continue
            fi
            # The write-intent bitmap does not cover what this leg lacks: all of it is copied.
            how=add
            quiet mdadm "/dev/$array" --add "$device" \
                || die "$device cannot be added to $array" "see mdadm --detail /dev/$array on that host"
        done
    fi
    did "$array has ${away[*]} back ($how)"
    json '{"array": "%s", "legs": %s, "how": "%s"}' "$array" "${#away[@]}" "$how"
done
finish
# end of script
