# Makes temporary mirrors over the legs of others, in any layout, to be read and never written to.
# Arguments: CHUNK_KIB ARRAY=LAYOUT=LEG,LEG... (LAYOUT: raid1, n3, f3, o3)
#
# What a mirror's legs hold makes no difference to how fast it is read, so nothing needs to be copied: the arrays over the
# legs are stopped, and others are built over the same legs without a label. With start_ro they are read-only from their
# first moment until somebody writes, which nobody does: md would otherwise repair a failed read by writing to the leg,
# where the assembled mirror has other data.
#
# Two rows of chunks are read ahead for a reader through the page cache, which is md's own rule where there are chunks.
# By itself it would take a row for the least common multiple of its chunks and of what a target advertises as the optimal
# length of a transfer: for 124 KiB and three chunks of 512 KiB that makes 93 MiB, which a reader waits for.
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
trap 'echo "$start_ro" > /sys/module/md_mod/parameters/start_ro' EXIT
echo 1 > /sys/module/md_mod/parameters/start_ro
for pair in "$@"; do
    array=${pair%%=*}
    layout=${pair#*=}
    layout=${layout%%=*}
    IFS=, read -r -a legs <<< "${pair##*=}"
    how=(--level=10 --layout="$layout" --chunk="$chunk_kib")
    [ "$layout" != raid1 ] || how=(--level=1)
    # --force: mdadm finds a mirror of one leg unusual.
    quiet mdadm --build "/dev/$array" --force --raid-devices="${#legs[@]}" "${how[@]}" --assume-clean "${legs[@]}" \
        || die "mdadm could not build $array ($layout) over ${legs[*]}" "see the message above; run configure again"
    read -r state < "/sys/block/$array/md/array_state"
    [ "$state" = read-auto ] || die "$array is $state, not read-only" "run configure again"
    [ "$layout" = raid1 ] || echo $((2 * chunk_kib * ${#legs[@]})) > "/sys/block/$array/queue/read_ahead_kb"
    did "built $array ($layout) over ${legs[*]}"
done
finish
# end of script
