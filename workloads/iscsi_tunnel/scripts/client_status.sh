# Prints the state of an attachment. Argument: IQN
iqn=$1
word=detached
since=
detail=
if [ -f "$FOLDER/attachment" ] && [ "$(own IQN)" = "$iqn" ]; then
    word=unknown
    { IFS=$'\t' read -r word since detail < /run/tidemark-tunnel/state; } 2> /dev/null || true
    systemctl --quiet is-active "$UNIT" || [ "$word" = lost ] || [ "$word" = refused ] || word=stopped
fi
tun=$(own TUN)
mtu=
[ -z "$tun" ] || { read -r mtu < "/sys/class/net/tun$tun/mtu"; } 2> /dev/null || true
look_at_sessions
session=
state=
[ -z "${session_of[$iqn]:-}" ] || { read -r session < "${session_of[$iqn]}/state"; } 2> /dev/null || true
device=
bytes=
for path in "${session_of[$iqn]:-/none}/device"/target*/*:0/block/*; do
    [ -e "$path" ] || continue
    device=/dev/${path##*/}
    read -r bytes < "$path/size"
    bytes=$((bytes * 512))
    read -r state < "$path/device/state" || true
done
stable=
for link in /dev/disk/by-id/wwn-* /dev/disk/by-id/scsi-*; do
    if [ -n "$device" ] && [ -e "$link" ] && [ "$(readlink --canonicalize "$link")" = "$device" ]; then
        stable=$link
        break
    fi
done
json '{"tunnel": "%s", "since_unix_s": %s, "detail": "%s", "tun": "%s", "mtu": %s, "session": "%s", "disk": "%s", '\
'"disk_state": "%s", "device": "%s", "size_bytes": %s}' "$word" "${since:-null}" "$detail" "${tun:+tun$tun}" "${mtu:-null}" \
    "$session" "$device" "$state" "$stable" "${bytes:-null}"
finish
# end of script
