# Prints the proofs that a host can make itself. Arguments: LARGEST_PAYLOAD_BYTES NAME=ADDRESS...
#
# With fragmentation off, a packet of the network's MTU must pass, and one byte more must be refused.
payload=$1
shift
# try NAME ADDRESS BYTES
try() {
    local output
    output=$(ping -n -M "do" -c 1 -W 3 -s "$3" "$2" 2>&1 < /dev/null) || true
    json '{"ping": "%s", "payload_bytes": %s, "output": "%s"}' "$1" "$3" "$output"
}

for pair in "$@"; do
    try "${pair%%=*}" "${pair#*=}" "$payload" &
    try "${pair%%=*}" "${pair#*=}" "$((payload + 1))" &
done
wait
lines_of /proc/meminfo
for line in "${lines[@]}"; do
    read -r name value _ <<< "$line"
    [ "$name" = MemTotal: ] && memory_kib=$value
done
json '{"memory_kib": %s, "cpus": %s}' "$memory_kib" "$(nproc)"
for file in "$STATE"/zeroed/*.json; do
    [ -e "$file" ] && echo "{\"zeroed\": $(< "$file")}" # JSON already
done
finish
# end of script
