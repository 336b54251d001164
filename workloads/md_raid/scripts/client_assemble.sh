# Assembles an array whose legs carry its label. Arguments: ARRAY DEVICE...
array=$1
shift
# A label of an array that cannot run yet (udev had one leg only) holds its legs.
for md in /sys/block/md*/md; do
    [ -d "$md" ] || continue
    name=$(basename "$(dirname "$md")")
    for device in "$@"; do
        if [ -e "$md/../slaves/${device#/dev/}" ] && { [ "$name" != "$array" ] || [ "$(cat "$md/array_state")" = inactive ]; }; then
            stop_array "$name"
            break
        fi
    done
done
# --run: an array with a leg missing is started too; the leg is added afterwards.
quiet mdadm --assemble --run "/dev/$array" "$@" \
    || die "/dev/$array cannot be assembled from $*" "see mdadm --examine of these on that host"
did "assembled $array"
udevadm settle
finish
# end of script
