# Makes temporary mirrors over the legs of others, in any layout, to be read and never written to.
# Arguments: CHUNK_KIB ARRAY=LAYOUT=LEG,LEG... (LAYOUT: raid1, raid1-rotational, n3, f3, o3)
# Prints of each array: {"array", "legs_rotational": true|false|null (they differ), "legs_optimal_io_bytes": the least}
#
# What a mirror's legs hold makes no difference to how fast it is read, so nothing needs to be copied: the arrays over the
# legs are stopped, and others are built over the same legs without a label. With start_ro they are read-only from their
# first moment until somebody writes, which nobody does: md would otherwise repair a failed read by writing to the leg,
# where the assembled mirror has other data.
#
# Two rows of chunks are read ahead for a reader through the page cache, which is md's own rule where there are chunks.
# By itself it would take a row for the least common multiple of its chunks and of what a target advertises as the optimal
# length of a transfer: for 124 KiB and three chunks of 512 KiB that makes 93 MiB, which a reader waits for.
#
# A RAID-1 keeps a sequential reader on one leg if its legs rotate. If they do not, and name an optimal length of a
# transfer, it goes on to the next idle leg after each such length (read_balance in drivers/md/raid1.c since Linux 3.7).
# raid1-rotational is told that its legs rotate, whatever they are: md looks at that once, when an array is built.
chunk_kib=$1
shift
hide_from_udev
for pair in "$@"; do
    IFS=, read -r -a legs <<< "${pair##*=}"
    for leg in "${legs[@]}"; do
        for holder in "/sys/block/${leg#/dev/}/holders/"md*; do
            [ ! -e "$holder" ] || stop_array "${holder##*/}"
        done
    done
done
read -r start_ro < /sys/module/md_mod/parameters/start_ro
declare -A rotational_before=()
restore_rotational() {
    local queue
    for queue in "${!rotational_before[@]}"; do
        echo "${rotational_before[$queue]}" > "$queue/rotational"
    done
    rotational_before=()
}
restore() {
    echo "$start_ro" > /sys/module/md_mod/parameters/start_ro
    restore_rotational
}
trap restore EXIT
# legs_of ARRAY LEG...: prints what the kernel says of an array's legs.
legs_of() {
    local array=$1 leg queue rotates bytes rotational='' least=''
    shift
    for leg in "$@"; do
        queue=/sys/block/${leg#/dev/}/queue
        read -r rotates < "$queue/rotational"
        read -r bytes < "$queue/optimal_io_size"
        [ "${rotational:-$rotates}" = "$rotates" ] || rotates=different
        rotational=$rotates
        [ -n "$least" ] && [ "$least" -le "$bytes" ] || least=$bytes
    done
    case $rotational in
        0) rotational=false ;;
        1) rotational=true ;;
        *) rotational=null ;;
    esac
    json '{"array": "%s", "legs_rotational": %s, "legs_optimal_io_bytes": %s}' "$array" "$rotational" "$least"
}
echo 1 > /sys/module/md_mod/parameters/start_ro
for pair in "$@"; do
    array=${pair%%=*}
    layout=${pair#*=}
    layout=${layout%%=*}
    IFS=, read -r -a legs <<< "${pair##*=}"
    how=(--level=10 --layout="$layout" --chunk="$chunk_kib")
    [[ $layout != raid1* ]] || how=(--level=1)
    if [ "$layout" = raid1-rotational ]; then
        for leg in "${legs[@]}"; do
            queue=/sys/block/${leg#/dev/}/queue
            [ -n "${rotational_before[$queue]:-}" ] || read -r rotational_before["$queue"] < "$queue/rotational"
            echo 1 > "$queue/rotational"
        done
    fi
    # --force: mdadm finds a mirror of one leg unusual.
    quiet mdadm --build "/dev/$array" --force --raid-devices="${#legs[@]}" "${how[@]}" --assume-clean "${legs[@]}" \
        || die "mdadm could not build $array ($layout) over ${legs[*]}" "see the message above; run configure again"
    read -r state < "/sys/block/$array/md/array_state"
    [ "$state" = read-auto ] || die "$array is $state, not read-only" "run configure again"
    legs_of "$array" "${legs[@]}"
    restore_rotational
    [[ $layout == raid1* ]] || echo $((2 * chunk_kib * ${#legs[@]})) > "/sys/block/$array/queue/read_ahead_kb"
    did "built $array ($layout) over ${legs[*]}"
done
finish
# end of script
