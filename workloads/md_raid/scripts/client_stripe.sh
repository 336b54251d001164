# Creates or assembles the array that users see: RAID-0 over the mirrors. Arguments: ARRAY CHUNK_KIB CREATE|ASSEMBLE MIRROR...
array=$1
chunk_kib=$2
how=$3
shift 3
case $how in
    create)
        refuse_held "$@"
        quiet mdadm --create "/dev/$array" --run --metadata=1.2 --homehost=tidemark --name="$array" \
            --level=0 --raid-devices="$#" --chunk="$chunk_kib" "$@" \
            || die "mdadm could not create $array" "see the message above; run configure again"
        did "created $array over $*"
        ;;
    assemble)
        quiet mdadm --assemble "/dev/$array" "$@" \
            || die "/dev/$array cannot be assembled from $*" "see mdadm --examine of these on that host"
        did "assembled $array"
        ;;
esac
finish
# end of script
