# Functions of iscsi-tunnel's scripts; sent after the libraries in workloads/scripts.
# shellcheck disable=SC2034  # the scripts use what is set here
FOLDER=/etc/tidemark-tunnel
UNIT=tidemark-tunnel.service
IFACE=tidemark
# Marks our own routes: a number that iproute2's rt_protos does not assign.
ROUTE_PROTOCOL=83

# routes: prints this machine's routes as JSON.
routes() {
    ip -4 -json route show table all
}

# own VARIABLE: prints its value in the attachment's file, or nothing.
own() {
    local line
    [ -f "$FOLDER/attachment" ] || return 0
    while IFS= read -r line; do
        if [ "${line%%=*}" = "$1" ]; then
            line=${line#*=}
            line=${line#\'}
            echo "${line%\'}"
        fi
    done < "$FOLDER/attachment"
}

# forget_sessions IQN: ends the session with the target and forgets the target; succeeds if there is none.
forget_sessions() {
    look_at_sessions
    if [ -n "${session_of[$1]:-}" ]; then
        quiet timeout 30 iscsiadm --mode node --targetname "$1" --logout || true
        did "logged out of $1"
    fi
    if [ -d "/etc/iscsi/nodes/$1" ]; then
        quiet iscsiadm --mode node --targetname "$1" --op delete || true
        did "forgot $1"
    fi
}

# drop_tunnel: ends the tunnel's unit and removes its device; succeeds if there is none.
drop_tunnel() {
    local tun
    tun=$(own TUN)
    if [ -e "/etc/systemd/system/$UNIT" ]; then
        quiet systemctl stop "$UNIT" || true
        systemctl reset-failed "$UNIT" 2> /dev/null || true
        rm -f "/etc/systemd/system/$UNIT"
        did "stopped the tunnel"
    fi
    if [ -n "$tun" ] && [ -e "/sys/class/net/tun$tun" ]; then
        quiet ip link delete "tun$tun" || true
        did "took tun$tun away"
    fi
    rm -f "$FOLDER/attachment"
}
