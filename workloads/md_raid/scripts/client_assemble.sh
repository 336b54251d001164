# Assembles arrays whose legs carry their labels. Arguments: ARRAY=LEG,LEG...
for pair in "$@"; do
    array=${pair%%=*}
    IFS=, read -r -a legs <<< "${pair#*=}"
    # A label of an array that cannot run yet (udev had one leg only) holds its legs.
    for md in /sys/block/md*/md; do
        [ -d "$md" ] || continue
        name=${md#/sys/block/}
        name=${name%/md}
        { read -r state < "$md/array_state"; } 2> /dev/null || continue
        for leg in "${legs[@]}"; do
            if [ -e "$md/../slaves/${leg#/dev/}" ] && { [ "$name" != "$array" ] || [ "$state" = inactive ]; }; then
                stop_array "$name"
                break
            fi
        done
    done
done
# All at once: mdadm waits for the legs' labels most of the time.
declare -A worker=()
for pair in "$@"; do
    IFS=, read -r -a legs <<< "${pair#*=}"
    # --run: an array with a leg missing is started too; the leg is added afterwards.
    quiet mdadm --assemble --run "/dev/${pair%%=*}" "${legs[@]}" &
    worker[$pair]=$!
done
for pair in "$@"; do
    wait "${worker[$pair]}" \
        || die "/dev/${pair%%=*} cannot be assembled from ${pair#*=}" "see mdadm --examine of these on that host"
    did "assembled ${pair%%=*}"
done
udevadm settle
finish
# end of script
