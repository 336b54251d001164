# Logs in to the target at the other end of the tunnel and waits for its disk, which must have SIZE_BYTES.
# Arguments: IQN ADDRESS INITIATOR VOLUME_ID SIZE_BYTES LIMIT_SECONDS
# Uses an interface record of its own: other sessions and the host's initiator name stay as they are.
iqn=$1
address=$2
initiator=$3
volume=$4
size_bytes=$5
limit_seconds=$6
WAIT_S=30

boot_is_over open-iscsi.service iscsid.service
own_interface "$IFACE" "$initiator"
record=/etc/iscsi/nodes/$iqn/$address,$PORT,1/$IFACE
for directory in "/etc/iscsi/nodes/$iqn/"*; do
    if [ -e "$directory" ] && [ "$directory" != "${record%/*}" ]; then
        forget_sessions "$iqn" # of other addresses
        break
    fi
done
if [ ! -e "$record" ]; then
    quiet timeout 30 iscsiadm --mode discovery --type sendtargets --portal "$address:$PORT" --interface "$IFACE" \
        || die "discovery at $address port $PORT failed" "see targetcli ls on the server, and run attach again"
    [ -e "$record" ] || die "the server does not offer $iqn" "run iscsi-tunnel.configure again"
    did "discovered $iqn"
fi
text=$'\n'$(< "$record")$'\n'
# How long an interrupted session waits; noops detect the interruption. Not started at boot: a person attaches the disk.
settings=(
    node.startup=manual
    "node.session.timeo.replacement_timeout=$limit_seconds"
    'node.conn[0].timeo.noop_out_interval=5'
    'node.conn[0].timeo.noop_out_timeout=10'
)
for setting in "${settings[@]}"; do
    if [[ $text != *$'\n'"${setting%%=*} = ${setting#*=}"$'\n'* ]]; then
        quiet iscsiadm --mode node --targetname "$iqn" --portal "$address:$PORT" --interface "$IFACE" \
            --op update --name "${setting%%=*}" --value "${setting#*=}"
        did "set $setting"
    fi
done
look_at_sessions
if [ -z "${session_of[$iqn]:-}" ]; then
    quiet timeout 60 iscsiadm --mode node --targetname "$iqn" --portal "$address:$PORT" --interface "$IFACE" --login \
        || die "the log-in to $iqn failed" "see the lines above and dmesg on the server; run attach again"
    did "logged in to $iqn"
    look_at_sessions
fi
SECONDS=0
until session_ready "$iqn"; do
    [ "$SECONDS" -lt "$WAIT_S" ] || die "the disk of $iqn has not appeared in $WAIT_S s" "see dmesg on that host; run attach again"
    rest 0.2
    look_at_sessions
done
set_value "${session_of[$iqn]}/recovery_tmo" "$limit_seconds"
read -r sectors < "/sys/block/$disk/size"
if [ "$((sectors * 512))" -ne "$size_bytes" ]; then
    forget_sessions "$iqn"
    drop_tunnel
    die "the disk has $((sectors * 512)) bytes, and the volume $volume has $size_bytes" \
        "see what the server exports (targetcli ls there), and run attach again"
fi
# Polls instead of `udevadm settle`: udev may be busy with other devices for seconds. `-ef`: the link leads to the disk.
SECONDS=0
stable=
while [ "$SECONDS" -lt "$WAIT_S" ]; do
    for link in /dev/disk/by-id/wwn-* /dev/disk/by-id/scsi-*; do
        if [ "$link" -ef "/dev/$disk" ]; then
            stable=$link
            break 2
        fi
    done
    rest 0.1
done
[ -n "$stable" ] || die "udev gives /dev/$disk no stable name" "see udevadm info /dev/$disk on that host"
json '{"volume": "%s", "device": "%s", "disk": "/dev/%s", "size_bytes": %s, "block_bytes": %s}' \
    "$volume" "$stable" "$disk" "$((sectors * 512))" "$(< "/sys/block/$disk/queue/logical_block_size")"
finish
# end of script
