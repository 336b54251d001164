# Makes the server's end of the tunnel and the exported volume, also for each boot.
# Arguments: USER TUN LOCAL PEER MTU VOLUME_ID DEVICE SIZE_GIB
user=$1
tun=$2
local=$3
peer=$4
mtu=$5
id=$6
device=$7
size_gib=$8

# At boot a unit does what this script does: waits for it.
boot_is_over tidemark-tunnel-server.service rtslib-fb-targetctl.service
scan_disks
disk_of "$id" "$device"
name=${disk#/dev/}
name=${name//\//!}
read -r sectors < "/sys/block/$name/size"
size_bytes=$((sectors * 512))
# The size of a bought disk is hardly ever whole GiB: either of the two nearest is accepted.
below_gib=$((size_bytes >> 30))
above_gib=$(((size_bytes + (1 << 30) - 1) >> 30))
[ "$size_gib" -eq "$below_gib" ] || [ "$size_gib" -eq "$above_gib" ] \
    || die "$disk ($id) has $size_bytes bytes, and $size_gib GiB are $((size_gib << 30))" \
        "write $above_gib as its size_gib in the inventory, or attach the right volume"
ours=
for object in /sys/kernel/config/target/core/iblock_*/"$id"; do
    if [ -e "$object/enable" ] && read -r enabled < "$object/enable" && [ "$enabled" = 1 ]; then
        ours=ours
        [ "/dev/tidemark/$id" -ef "$disk" ] \
            || die "the target exports another disk as $id than $disk" "run targetcli /backstores/block delete $id on that host"
    fi
done
if taken "$disk" $ours; then
    die "$disk ($id) is in use on the server itself ($taker)" "take it from what uses it (lsblk $disk), then run again"
fi

[ -d /sys/module/tun ] || modprobe --quiet tun \
    || die "kernel $(uname -r) has no module tun" "boot a kernel that has it (Debian's linux-image-cloud-amd64 does)"
# The disk may have another name at the next boot: the unit finds it in the same way, under a stable link.
if [ -z "${serial_of[$disk]:-}" ] && [[ $device != /dev/disk/* ]]; then
    for link in /dev/disk/by-id/*; do
        if [ "$link" -ef "$disk" ]; then
            device=$link
            break
        fi
    done
fi
before=$changed
put "$FOLDER/server" "TUN='$tun'
LOCAL='$local'
PEER='$peer'
MTU='$mtu'
TUNNEL_USER='$user'
VOLUME='$id'
DEVICE='$device'
SIZE_BYTES='$size_bytes'"
put /usr/local/sbin/tidemark-tunnel-server "$(cat << 'BOOT'
#!/bin/bash
# Makes the tunnel's device, which its user may open, and the link by which the target finds its volume.
# Changes nothing that is right already.
set -eu
export LC_ALL=C PATH=/usr/sbin:/usr/bin:/sbin:/bin
. /etc/tidemark-tunnel/server
# Nothing else loads it at boot; a kernel may have it built in.
[ -d /sys/module/tun ] || modprobe --quiet tun || true
if [ ! -e "/sys/class/net/tun$TUN" ]; then
    ip tuntap add dev "tun$TUN" mode tun user "$TUNNEL_USER"
fi
ip address replace "$LOCAL" peer "$PEER" dev "tun$TUN"
ip link set dev "tun$TUN" mtu "$MTU" up
# Packets from the tunnel are not forwarded, even if this host is a router.
echo 0 > "/proc/sys/net/ipv4/conf/tun$TUN/forwarding"
# As at the client's end (client_tunnel.sh).
ip route replace "$PEER" dev "tun$TUN" src "$LOCAL" congctl bbr || echo "no BBR: the kernel's own congestion control"
declare -A serial_of=()
BOOT
declare -f scan_disks shows whole_disk find_disk
cat << 'BOOT'
for ((second = 0; ; second++)); do
    scan_disks
    if find_disk "$VOLUME" "$DEVICE"; then
        break
    elif [ "$second" -ge 60 ]; then
        echo "$fault; $remedy" >&2
        exit 1
    fi
    sleep 1
done
name=${disk#/dev/}
read -r sectors < "/sys/block/${name//\//!}/size"
if [ "$((sectors * 512))" -ne "$SIZE_BYTES" ]; then
    echo "$disk has $((sectors * 512)) bytes, and $VOLUME had $SIZE_BYTES: run iscsi-tunnel.configure" >&2
    exit 1
fi
mkdir -p /dev/tidemark
[ "$(readlink "/dev/tidemark/$VOLUME")" = "$disk" ] || ln -sfn "$disk" "/dev/tidemark/$VOLUME"
BOOT
)"
chmod 755 /usr/local/sbin/tidemark-tunnel-server
put /etc/systemd/system/tidemark-tunnel-server.service "[Unit]
Description=The server's end of the iSCSI tunnel
Before=rtslib-fb-targetctl.service ssh.service
After=systemd-modules-load.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/local/sbin/tidemark-tunnel-server

[Install]
WantedBy=multi-user.target"
link /etc/systemd/system/tidemark-tunnel-server.service \
    /etc/systemd/system/multi-user.target.wants/tidemark-tunnel-server.service
for other in /sys/class/net/tun*; do
    # Devices of an earlier configuration: only ours belong to the tunnel's user.
    if [ -e "$other/owner" ] && [ "${other##*/}" != "tun$tun" ] && [ "$(< "$other/owner")" = "$(id --user "$user")" ]; then
        quiet ip link delete "${other##*/}"
        did "took ${other##*/} away"
    fi
done
if [ "$changed" -ne "$before" ] && [ -e "/sys/class/net/tun$tun" ]; then
    # The addresses may have changed.
    quiet ip address flush dev "tun$tun"
fi
if [ "$changed" -ne "$before" ] || [ ! -e "/sys/class/net/tun$tun" ] || [ ! -b "/dev/tidemark/$id" ]; then
    quiet /usr/local/sbin/tidemark-tunnel-server || die "the tunnel's end could not be made" "see the lines above"
    did "made tun$tun and /dev/tidemark/$id"
fi
# Setting ip_forward for the whole host, as Docker does when it starts, sets this, too.
set_value "/proc/sys/net/ipv4/conf/tun$tun/forwarding" 0
json '{"volume": "%s", "disk": "%s", "size_bytes": %s}' "$id" "$disk" "$size_bytes"
finish
# end of script
