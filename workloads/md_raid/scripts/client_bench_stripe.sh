# Makes a temporary stripe, without a label of its own, over mirrors or over the legs of one server.
# Arguments: ARRAY STRIPE CHUNK_KIB MEMBER...
# `mdadm --build` writes nothing, so the mirrors keep the label of the whole stripe, which is assembled again
# afterwards; but it holds the mirrors, and must be stopped meanwhile.
bench=$1
stripe=$2
chunk_kib=$3
shift 3
for array in "$bench" "$stripe"; do
    if [ -d "/sys/block/$array/md" ]; then
        stop_array "$array"
    fi
done
hide_from_udev
# --force: mdadm finds a stripe over one device unusual.
quiet mdadm --build "/dev/$bench" --force --level=0 --raid-devices="$#" --chunk="$chunk_kib" "$@" \
    || die "mdadm could not build $bench over $*" "see the message above; run configure again"
did "built $bench over $*"
finish
# end of script
