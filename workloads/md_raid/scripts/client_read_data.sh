# Prints the checksum of a range, read without the page cache. Arguments: DEVICE OFFSET_BYTES BYTES
device=$1
offset_bytes=$2
bytes=$3
sync
echo 3 > /proc/sys/vm/drop_caches
sum=$(dd if="$device" bs=8M iflag=direct,skip_bytes,count_bytes,fullblock skip="$offset_bytes" count="$bytes" status=none \
    | sha256sum) || die "reading from $device failed" "see dmesg on that host"
json '{"bytes": %s, "offset_bytes": %s, "sha256": "%s"}' "$bytes" "$offset_bytes" "${sum%% *}"
finish
# end of script
