# Prints the host's counters every SECONDS, until its output has no reader.
# Arguments: ADDRESS [SECONDS [NAME=DEVICE...]]
# The counters are those of the interface that has ADDRESS, and of the block devices, by NAME. No process is started while
# it runs.
address=$1
seconds=${2:-1}
shift "$(($# < 2 ? $# : 2))"
interface=$(ip -brief -4 address show to "$address" | { read -r name _; echo "${name%%@*}"; })
statistics=/sys/class/net/$interface/statistics
[ -d "$statistics" ] || die "no interface has the address $address" "correct private_address in the inventory"
# A host whose CPU is full would be sampled too seldom.
renice --priority -10 --pid $$ > /dev/null 2>&1 || true
declare -A name_of=()
if [ "$#" -gt 0 ]; then
    mapfile -t devices < <(readlink --canonicalize "${@#*=}")
    for ((number = 0; number < $#; number++)); do
        device=${devices[number]:-}
        pair=${*:number+1:1}
        [ -z "$device" ] || name_of[${device##*/}]=${pair%%=*}
    done
fi

# read_disks: sets `disks` to what follows a sample's other fields. The kernel's fields are in its
# Documentation/admin-guide/iostats.rst; a sector has 512 bytes.
read_disks() {
    local lines line fields
    disks=
    lines_of /proc/diskstats
    for line in "${lines[@]}"; do
        # shellcheck disable=SC2206  # a device's name and numbers: there is nothing to expand
        fields=($line)
        [ -n "${name_of[${fields[2]}]:-}" ] || continue
        disks+=${disks:+, }"\"${name_of[${fields[2]}]}\": {\"reads\": ${fields[3]}, \"read_bytes\": $((fields[5] * 512)), "
        disks+="\"writes\": ${fields[7]}, \"written_bytes\": $((fields[9] * 512)), \"busy_ms\": ${fields[12]}}"
    done
    [ -z "$disks" ] || disks=", \"disks\": {$disks}"
}

disks=
last_busy=
last_total=
while true; do
    read -r _ user nice system idle iowait irq softirq steal _ < /proc/stat
    busy=$((user + nice + system + irq + softirq + steal))
    total=$((busy + idle + iowait))
    read -r received < "$statistics/rx_bytes"
    read -r sent < "$statistics/tx_bytes"
    read -r packets_received < "$statistics/rx_packets"
    read -r packets_sent < "$statistics/tx_packets"
    lines_of /proc/meminfo
    for line in "${lines[@]}"; do
        read -r name available _ <<< "$line"
        [ "$name" = MemAvailable: ] && break
    done
    [ "${#name_of[@]}" -eq 0 ] || read_disks
    if [ -n "$last_total" ] && [ "$total" -gt "$last_total" ]; then
        # `disks` is JSON already, of volumes' ids and numbers.
        json '{"t_unix_s": %s, "busy": %s, "total": %s, "nic_rx_bytes": %s, "nic_tx_bytes": %s, "nic_rx_packets": %s, '\
'"nic_tx_packets": %s, "mem_available_bytes": %s'"$disks}" "${EPOCHREALTIME/,/.}" "$((busy - last_busy))" \
            "$((total - last_total))" "$received" "$sent" "$packets_received" "$packets_sent" "$((available * 1024))"
    fi
    last_busy=$busy
    last_total=$total
    rest "$seconds"
done
# end of script
