# A temporary stripe over some of the mirrors, without a label of its own. Arguments: ARRAY STRIPE CHUNK_KIB MIRROR...
# `mdadm --build` writes nothing, so the mirrors keep the label of the whole stripe, which is assembled again
# afterwards; but it holds the mirrors, and must be stopped meanwhile.
bench=$1
stripe=$2
chunk_kib=$3
shift 3
if [ -d "/sys/block/$bench/md" ]; then
    stop_array "$bench"
fi
if [ -d "/sys/block/$stripe/md" ]; then
    stop_array "$stripe"
fi
# It shows the first mirror's start, and there the label of the whole stripe: udev must not assemble from it. The rule is gone
# with the next boot, as this stripe is.
rule=/run/udev/rules.d/63-tidemark-bench.rules
if [ ! -e "$rule" ]; then
    put "$rule" "KERNEL==\"$bench\", ENV{SYSTEMD_READY}=\"0\", OPTIONS+=\"nowatch\""
    udevadm control --reload
fi
# --force: mdadm finds a stripe over one device unusual.
quiet mdadm --build "/dev/$bench" --force --level=0 --raid-devices="$#" --chunk="$chunk_kib" "$@" \
    || die "mdadm could not build $bench over $*" "see the message above; run configure again"
did "built $bench over $*"
finish
# end of script
