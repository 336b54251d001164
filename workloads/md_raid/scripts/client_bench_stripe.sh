# Makes a temporary stripe over some of the mirrors, without a label of its own. Arguments: ARRAY STRIPE CHUNK_KIB MIRROR...
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
# Its first blocks are those of the first mirror, with the label of the whole stripe: udev must not assemble from it. The
# rule lasts until the next boot, as the stripe does.
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
