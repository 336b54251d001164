# Zeroes a range of a disk. Arguments: DEVICE OFFSET LENGTH
quiet blkdiscard --zeroout --offset "$2" --length "$3" "$1" || die "$1 cannot be written" "see dmesg on that host"
did "zeroed $3 bytes of $1"
finish
# end of script
