# Cuts the path to the server for a while, or kills ssh alone. Arguments: SERVER SECONDS, or: kill
if [ "$1" = kill ]; then
    if ! read -r pid < /run/tidemark-tunnel/ssh.pid || ! kill -KILL "$pid"; then
        die "no ssh of the tunnel runs" "run iscsi-tunnel.attach"
    fi
    json '{"cut_at_unix_s": %s}' "${EPOCHREALTIME/,/.}"
    finish
    exit 0
fi
quiet ip route add blackhole "$1/32" || die "the path to $1 is cut already" "ip route delete blackhole $1 on that host"
trap 'ip route delete blackhole "$1/32"' EXIT
json '{"cut_at_unix_s": %s}' "${EPOCHREALTIME/,/.}"
sleep "$2"
finish
# end of script
