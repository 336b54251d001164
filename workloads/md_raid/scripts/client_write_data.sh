# Writes random data and prints its checksum, computed from the stream and not from the disk.
# Arguments: DEVICE OFFSET_BYTES BYTES
device=$1
offset_bytes=$2
bytes=$3
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
mkfifo "$directory/data"
sha256sum < "$directory/data" > "$directory/sum" &
head -c "$bytes" /dev/urandom | tee "$directory/data" \
    | dd of="$device" bs=8M iflag=fullblock oflag=direct,seek_bytes seek="$offset_bytes" conv=fsync status=none \
    || die "writing to $device failed" "see dmesg on that host"
wait
read -r sum _ < "$directory/sum"
json '{"bytes": %s, "offset_bytes": %s, "sha256": "%s"}' "$bytes" "$offset_bytes" "$sum"
finish
# end of script
