# Proofs that a host can give of itself. Arguments: LARGEST_PAYLOAD_BYTES NAME=ADDRESS...
#
# The packets may not be fragmented: the largest that the network promises must pass, one byte more must be refused.
payload=$1
shift
# try NAME ADDRESS BYTES
try() {
    local output
    output=$(ping -n -M "do" -c 1 -W 3 -s "$3" "$2" 2>&1 < /dev/null) || true
    output=${output//\\/}
    output=${output//\"/}
    printf '{"ping": "%s", "payload_bytes": %s, "output": "%s"}\n' "$1" "$3" "${output//$'\n'/\\n}"
}

for pair in "$@"; do
    try "${pair%%=*}" "${pair#*=}" "$payload" &
    try "${pair%%=*}" "${pair#*=}" "$((payload + 1))" &
done
wait
while read -r name value _; do
    [ "$name" = MemTotal: ] && memory_kib=$value
done < /proc/meminfo
printf '{"memory_kib": %s, "cpus": %s}\n' "$memory_kib" "$(nproc)"
for file in "$STATE"/zeroed/*.json; do
    [ -e "$file" ] && printf '{"zeroed": %s}\n' "$(< "$file")"
done
finish
# end of script
