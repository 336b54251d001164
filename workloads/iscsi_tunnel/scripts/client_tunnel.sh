# Brings the client's end of the tunnel up, and keeps it up: a unit runs ssh again whenever it ends.
# Arguments: NAME=VALUE...: user server port alias proxy directory tun remote_tun local remote mtu_max iqn volume
# limit_seconds wait_seconds, and host_key, once for each key that the server may show.
declare -A given=()
known_hosts=
for word in "$@"; do
    name=${word%%=*}
    value=${word#*=}
    if [ "$name" = host_key ]; then
        known_hosts+="${given[alias]} $value"$'\n'
    else
        given[$name]=$value
    fi
done
tun=${given[tun]}

for module in tun iscsi_tcp; do
    [ -d "/sys/module/$module" ] || modprobe --quiet "$module" 2> /dev/null \
        || die "kernel $(uname -r) has no module $module" \
            "boot a kernel that has it (Debian's linux-image-cloud-amd64 and linux-image-amd64 do)"
done
[ -d /run/systemd/system ] || die "systemd does not run here, and the tunnel is one of its units" "attach on a machine that has it"
command -v iscsiadm > /dev/null || die "iscsiadm is not there" "install open-iscsi on that host"
if [ -e "/sys/class/net/tun$tun" ] && [ "$(own TUN)" != "$tun" ]; then
    die "tun$tun is in use by something else" "name another number (--tun), or leave it out: a free one is taken"
fi

# quoted VALUE: prints VALUE quoted for a shell.
quoted() {
    printf "'%s'" "${1//\'/\'\\\'\'}"
}
before=$changed
put "$FOLDER/known_hosts" "${known_hosts%$'\n'}"
put "$FOLDER/attachment" "TUN=$(quoted "$tun")
REMOTE_TUN=$(quoted "${given[remote_tun]}")
LOCAL=$(quoted "${given[local]}")
REMOTE=$(quoted "${given[remote]}")
MTU_MAX=$(quoted "${given[mtu_max]}")
TUNNEL_USER=$(quoted "${given[user]}")
SERVER=$(quoted "${given[server]}")
SSH_PORT=$(quoted "${given[port]}")
ALIAS=$(quoted "${given[alias]}")
PROXY=$(quoted "${given[proxy]}")
DIRECTORY=$(quoted "${given[directory]}")
IQN=$(quoted "${given[iqn]}")
VOLUME=$(quoted "${given[volume]}")
LIMIT_SECONDS=$(quoted "${given[limit_seconds]}")
ROUTE_PROTOCOL=$ROUTE_PROTOCOL"
put /usr/local/sbin/tidemark-tunnel "$(cat << 'SUPERVISOR'
#!/bin/bash
# Keeps the SSH tunnel to a volume up, and watches over the volume's disk. Run by tidemark-tunnel.service.
#
# ssh ends when three of its keep-alives have gone unanswered; it is started again after a pause that doubles from one
# second up to fifteen. The iSCSI session waits meanwhile, and logs in again by itself. When it has waited longer than its
# limit, the kernel fails requests to the disk: then everything on it is unmounted, and the attachment ends.
set -u
export LC_ALL=C PATH=/usr/sbin:/usr/bin:/sbin:/bin
. /etc/tidemark-tunnel/attachment
LONGEST_PAUSE=15
GOOD_AFTER=30 # seconds after which a connection does not count as a failed attempt
OVERHEAD=100  # of a tunnelled packet: SSH's header, padding and tag, at most 64, and a segment's own options
GIVEN_UP=3
RUN=/run/tidemark-tunnel
mkdir -p "$RUN"
exec {never}<> <(:)
rest() { read -r -t "$1" -u "$never" || true; }

# state WORD DETAIL: sets what `status` shows.
state() {
    printf '%s\t%s\t%s\n' "$1" "$EPOCHSECONDS" "$2" > "$RUN/state.new"
    mv "$RUN/state.new" "$RUN/state"
    echo "$1: $2"
}

# lost: succeeds when the session has waited longer than its limit.
lost() {
    local session name state
    for session in /sys/class/iscsi_session/session*; do
        { read -r name < "$session/targetname"; } 2> /dev/null || continue
        [ "$name" = "$IQN" ] || continue
        for state in "$session/device"/target*/*:0/state; do
            { read -r state < "$state"; } 2> /dev/null || continue
            case $state in transport-offline | offline) return 0 ;; esac
        done
    done
    return 1
}

die() {
    echo "$1; $2" >&2
    exit 1
}

SUPERVISOR
declare -f lines_of what_is_on climb
cat << 'SUPERVISOR'

# release DISK: unmounts everything on the disk and on devices that use it, and removes those devices. Sets `left` to what
# is still mounted.
release() {
    local number name
    what_is_on "$1"
    for ((number = ${#mounts[@]} - 1; number >= 0; number--)); do
        name=$(printf '%b' "${mounts[number]}")
        echo "unmounting $name"
        umount --lazy "$name"
    done
    for ((number = ${#stack[@]} - 1; number >= 0; number--)); do
        { read -r name < "/sys/block/${stack[number]}/dm/name"; } 2> /dev/null || continue
        dmsetup remove --force --deferred "$name"
    done
    what_is_on "$1"
    left=${mounts[*]}
}

# give_up: unmounts and closes everything on a dead disk.
give_up() {
    local session disk name left=
    [ -z "${ssh:-}" ] || kill "$ssh" 2> /dev/null
    for session in /sys/class/iscsi_session/session*; do
        { read -r name < "$session/targetname"; } 2> /dev/null || continue
        [ "$name" = "$IQN" ] || continue
        for disk in "$session/device"/target*/*:0/block/*; do
            [ -e "$disk" ] || continue
            release "/dev/${disk##*/}"
        done
    done
    state lost "the connection was away longer than $LIMIT_SECONDS s; what was asked of the disk has failed${left:+; still mounted: $left}"
    timeout 30 iscsiadm --mode node --targetname "$IQN" --logout
    exit "$GIVEN_UP"
}

if [ ! -e "/sys/class/net/tun$TUN" ]; then
    ip tuntap add dev "tun$TUN" mode tun || exit 1
fi
ip address replace "$LOCAL" peer "$REMOTE" dev "tun$TUN"
ip link set dev "tun$TUN" mtu "$MTU_MAX" up
# Packets from the tunnel are not forwarded, even if this machine is a router.
echo 0 > "/proc/sys/net/ipv4/conf/tun$TUN/forwarding"
# Inside the tunnel packets are late, never lost: a congestion control that waits for losses fills ssh's buffers with short
# packets. BBR sends at the rate of delivery, in full packets. A kernel without it keeps its own.
ip route replace "$REMOTE" dev "tun$TUN" src "$LOCAL" congctl bbr || echo "no BBR: the kernel's own congestion control"

# seen_segment: prints the largest segment that the connection's path passes, or nothing.
seen_segment() {
    ss --tcp --numeric --info --no-header dst "$SERVER" dport = "$SSH_PORT" \
        | sed --quiet 's/.* mss:\([0-9]*\).*/\1/p' | sort --numeric-sort | tail --lines=1
}

# fit SEGMENT: sets the MTU so that a packet of the tunnel, in one of SSH's, fills whole segments of the connection, about as
# many as ssh reads at once: the cost of a packet does not depend on its length.
fit() {
    local segment=$1 mtu
    [ -n "$segment" ] && [ "$segment" -gt 700 ] || return 0
    mtu=$(((2 * (MTU_MAX + OVERHEAD) + segment) / (2 * segment) * segment - OVERHEAD))
    ip link set dev "tun$TUN" mtu "$((mtu < MTU_MAX ? mtu : MTU_MAX))"
}

proxy=()
if [ -n "$PROXY" ]; then
    proxy=(-o "ProxyCommand=$PROXY")
    # The segments behind the proxy can't be seen: takes the internet's size.
    fit 1448
fi
# acknowledge_at_once: makes a route with quick acknowledgements. sshd holds a short packet back until the previous one is
# acknowledged, because it sets TCP_NODELAY for terminals only (OpenSSH's packet.c, ssh_packet_set_interactive), and Linux
# delays acknowledgements by up to 40 ms (TCP_DELACK_MIN in net/tcp.h): that is a delay for each request of the disk. The
# route is made before each attempt, because the path to the server may have changed.
acknowledge_at_once() {
    local address way
    ip route flush table all proto "$ROUTE_PROTOCOL"
    read -r address _ < <(getent ahostsv4 "$SERVER") || return 0
    way=$(ip -4 route get "$address" 2> /dev/null | head --lines=1)
    way=${way%% uid *}
    # Not the table `local`, which leads to this machine itself. A blackhole of the same address without a metric wins.
    [ "${way%% *}" = "$address" ] || return 0
    read -ra way <<< "$way"
    ip route replace "${way[@]}" proto "$ROUTE_PROTOCOL" metric 50 quickack 1
}

[ -z "$DIRECTORY" ] || cd "$DIRECTORY" || exit 1
pause=1
while true; do
    began=$SECONDS
    state connecting "$SERVER port $SSH_PORT"
    [ -n "$PROXY" ] || acknowledge_at_once
    ssh -F /dev/null -N -T -n -i /etc/tidemark-tunnel/id_ed25519 -p "$SSH_PORT" "${proxy[@]}" \
        -o IdentitiesOnly=yes -o BatchMode=yes -o UserKnownHostsFile=/etc/tidemark-tunnel/known_hosts \
        -o GlobalKnownHostsFile=/dev/null -o HostKeyAlias="$ALIAS" -o StrictHostKeyChecking=yes -o UpdateHostKeys=no \
        -o ConnectTimeout=10 -o ServerAliveInterval=5 -o ServerAliveCountMax=3 -o ExitOnForwardFailure=yes \
        -o Tunnel=point-to-point -o TunnelDevice="$TUN:$REMOTE_TUN" -o Compression=no -o LogLevel=ERROR \
        -o Ciphers=aes128-gcm@openssh.com,aes256-gcm@openssh.com,chacha20-poly1305@openssh.com \
        -- "$TUNNEL_USER@$SERVER" 2> "$RUN/ssh.log" &
    ssh=$!
    echo "$ssh" > "$RUN/ssh.pid"
    up=
    while kill -0 "$ssh" 2> /dev/null; do
        carrier=
        { read -r carrier < "/sys/class/net/tun$TUN/carrier"; } 2> /dev/null || true
        if [ -z "$up" ] && [ "$carrier" = 1 ] && ping -c 1 -W 1 -n "$REMOTE" > /dev/null 2>&1; then
            up=yes
            [ -n "$PROXY" ] || fit "$(seen_segment)"
            state up "tun$TUN, mtu $(< "/sys/class/net/tun$TUN/mtu")"
        fi
        lost && give_up
        if [ -n "$up" ]; then rest 0.5; else rest 0.1; fi
    done
    wait "$ssh"
    ssh=
    said=$(grep --invert-match '^\s*$' "$RUN/ssh.log" | tail --lines=1)
    if grep --quiet -e 'Host key verification failed' -e 'IDENTIFICATION HAS CHANGED' "$RUN/ssh.log"; then
        state refused "the server shows another host key than the pinned one"
        exit "$GIVEN_UP"
    fi
    [ "$((SECONDS - began))" -lt "$GOOD_AFTER" ] || pause=1
    state waiting "ssh ended (${said:-without a word}); again in $pause s"
    until [ "$((pause_left=${pause_left:-pause}))" -le 0 ]; do
        lost && give_up
        rest 1
        pause_left=$((pause_left - 1))
    done
    unset pause_left
    pause=$((pause * 2 > LONGEST_PAUSE ? LONGEST_PAUSE : pause * 2))
done
SUPERVISOR
)"
chmod 755 /usr/local/sbin/tidemark-tunnel
put "/etc/systemd/system/$UNIT" "[Unit]
Description=SSH tunnel to a volume of tidemark
StartLimitIntervalSec=0

[Service]
ExecStart=/usr/local/sbin/tidemark-tunnel
ExecStopPost=ip route flush table all proto $ROUTE_PROTOCOL
Restart=on-failure
RestartSec=1
RestartPreventExitStatus=3"

# described: sets `word` and `detail` to the tunnel's state as the supervisor reports it.
described() {
    word=
    detail=
    { IFS=$'\t' read -r word _ detail < /run/tidemark-tunnel/state; } 2> /dev/null || true
}
if [ "$changed" -ne "$before" ] || ! systemctl --quiet is-active "$UNIT"; then
    rm -f /run/tidemark-tunnel/state
    systemctl reset-failed "$UNIT" 2> /dev/null || true
    quiet systemctl restart "$UNIT" || die "the tunnel's unit does not start" "see journalctl -u $UNIT on that host"
    did "started the tunnel"
fi
SECONDS=0
described
until [ "$word" = up ]; do
    case $word in
        refused)
            drop_tunnel
            die "$detail" "find out why before you go on; if the server was replaced, remove its line from .tidemark/host-keys.json"
            ;;
        lost)
            drop_tunnel
            die "the tunnel has ended: $detail" "see that the server is up, and attach again"
            ;;
        waiting)
            if [[ $detail == *"Permission denied"* ]]; then
                drop_tunnel
                die "the server refuses the tunnel's key ($detail)" "run iscsi-tunnel.configure again; journalctl -u ssh there says why"
            fi
            ;;
    esac
    if [ "$SECONDS" -ge "${given[wait_seconds]}" ]; then
        drop_tunnel
        die "the tunnel is not up after ${given[wait_seconds]} s ($word: $detail)" \
            "see that the server is up and lets this address in on port ${given[port]}"
    fi
    rest 0.2
    described
done
json '{"tun": "tun%s", "mtu": %s, "local": "%s", "remote": "%s"}' \
    "$tun" "$(< "/sys/class/net/tun$tun/mtu")" "${given[local]}" "${given[remote]}"
finish
# end of script
