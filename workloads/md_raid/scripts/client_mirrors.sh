# Creates mirrors of three legs that all read as zero. Arguments: CHUNK_KIB ARRAY=LEG,LEG,LEG...
#
# Level 10 with the layout o3 keeps three copies, each shifted by a device: every block is on all three legs, as with
# RAID-1, but a sequential read goes over all of them. --assume-clean: all legs read as zero, so they are
# equal, and 15 GiB a leg need not be copied.
# --bitmap internal: the original had none. With it a leg that returns gets only what was written meanwhile (--re-add);
# without it every leg is copied whole. Only writes change it, so reads measure the same.
chunk_kib=$1
shift
for pair in "$@"; do
    array=${pair%%=*}
    IFS=, read -r -a legs <<< "${pair#*=}"
    refuse_held "${legs[@]}"
    quiet mdadm --create "/dev/$array" --run --metadata=1.2 --homehost=tidemark --name="$array" \
        --level=10 --layout=o3 --raid-devices="${#legs[@]}" --chunk="$chunk_kib" --bitmap=internal \
        --assume-clean "${legs[@]}" \
        || die "mdadm could not create $array" "see the message above; run configure again"
    did "created $array over ${legs[*]}"
done
finish
# end of script
