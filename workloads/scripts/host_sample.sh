# Prints the host's counters each second, until its output has no reader. Argument: ADDRESS
# The counters are those of the interface that has ADDRESS. No process is started while it runs.
address=$1
interface=$(ip -brief -4 address show to "$address" | { read -r name _; echo "${name%%@*}"; })
statistics=/sys/class/net/$interface/statistics
[ -d "$statistics" ] || die "no interface has the address $address" "correct private_address in the inventory"
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
    while read -r name available _; do
        [ "$name" = MemAvailable: ] && break
    done < /proc/meminfo
    if [ -n "$last_total" ] && [ "$total" -gt "$last_total" ]; then
        json '{"t_unix_s": %s, "busy": %s, "total": %s, "nic_rx_bytes": %s, "nic_tx_bytes": %s, "nic_rx_packets": %s, '\
'"nic_tx_packets": %s, "mem_available_bytes": %s}' "${EPOCHREALTIME/,/.}" "$((busy - last_busy))" "$((total - last_total))" \
            "$received" "$sent" "$packets_received" "$packets_sent" "$((available * 1024))"
    fi
    last_busy=$busy
    last_total=$total
    rest 1
done
# end of script
