# Creates mirrors of legs that all read as zero. Arguments: CHUNK_KIB ARRAY=LEG,LEG...
#
# Level 10 in the offset layout, with as many copies as legs (o3 for three), shifts each copy by a device: every block is on
# all legs, as with RAID-1, but a sequential read goes over all of them. --assume-clean: all legs read as zero, so they are
# equal, and 15 GiB a leg need not be copied.
# --bitmap internal: the original had none. With it a leg that returns gets only what was written meanwhile (--re-add);
# without it every leg is copied whole. Only writes change it, so reads measure the same. A bit stands for BITMAP_KIB, of
# which all is copied when any was written: mdadm's own choice, 64 MiB, made a rebuild in a rehearsal four times as long.
BITMAP_KIB=4096
chunk_kib=$1
shift
for pair in "$@"; do
    IFS=, read -r -a legs <<< "${pair#*=}"
    refuse_held "${legs[@]}"
done
# All at once: mdadm waits for the legs' disks most of the time.
declare -A worker=()
for pair in "$@"; do
    array=${pair%%=*}
    IFS=, read -r -a legs <<< "${pair#*=}"
    quiet mdadm --create "/dev/$array" --run --metadata=1.2 --homehost=tidemark --name="$array" \
        --level=10 --layout="o${#legs[@]}" --raid-devices="${#legs[@]}" --chunk="$chunk_kib" --bitmap=internal --bitmap-chunk="${BITMAP_KIB}K" \
        --assume-clean "${legs[@]}" &
    worker[$pair]=$!
done
failed=()
for pair in "$@"; do
    if wait "${worker[$pair]}"; then
        did "created ${pair%%=*} over ${pair#*=}"
    else
        failed+=("${pair%%=*}")
    fi
done
[ "${#failed[@]}" -eq 0 ] || die "mdadm could not create ${failed[*]}" "see the message above; run configure again"
finish
# end of script
