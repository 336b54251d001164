# The server's end of the tunnel and the volume that is exported there, at each boot too.
# Arguments: USER TUN LOCAL PEER MTU VOLUME_ID DEVICE SIZE_GIB
user=$1
tun=$2
local=$3
peer=$4
mtu=$5
id=$6
device=$7
size_gib=$8

scan_disks
disk_of "$id" "$device" || die "no disk has the serial $id" "attach the volume, or correct its id in the inventory"
read -r sectors < "/sys/block/${disk#/dev/}/size"
[ "$((sectors * 512))" -eq "$((size_gib << 30))" ] \
    || die "$disk ($id) has $((sectors * 512)) bytes, and $size_gib GiB are $((size_gib << 30))" \
        "correct size_gib in the inventory, or attach the right volume"
holders=("/sys/block/${disk#/dev/}/holders/"*)
if [ -e "${holders[0]}" ] || grep -q "^${disk}[p0-9]* " /proc/mounts; then
    die "$disk ($id) is in use on the server itself" "unmount it there, and take it from what holds it (lsblk $disk)"
fi

[ -d /sys/module/tun ] || modprobe --quiet tun \
    || die "kernel $(uname -r) has no module tun" "boot a kernel that has it (Debian's linux-image-cloud-amd64 does)"
before=$changed
put "$FOLDER/server" "TUN='$tun'
LOCAL='$local'
PEER='$peer'
MTU='$mtu'
TUNNEL_USER='$user'
VOLUME='$id'
DISK_BY_NAME='$disk'"
put /usr/local/sbin/tidemark-tunnel-server "$(cat << 'BOOT'
#!/bin/bash
# Makes the tunnel's device, which its user may open, and the link by which the target finds its volume.
# Nothing is changed that is as it should be.
set -eu
. /etc/tidemark-tunnel/server
# Nothing else asks for it at boot; where the kernel has it built in, there is no module.
[ -d /sys/module/tun ] || modprobe --quiet tun || true
if [ ! -e "/sys/class/net/tun$TUN" ]; then
    ip tuntap add dev "tun$TUN" mode tun user "$TUNNEL_USER"
fi
# Neither is this host a router, nor does it answer for the tunnel's address to anybody else (strict reverse path).
echo 0 > /proc/sys/net/ipv4/ip_forward
ip address replace "$LOCAL" peer "$PEER" dev "tun$TUN"
ip link set dev "tun$TUN" mtu "$MTU" up
# As at the client's end (client_tunnel.sh).
ip route replace "$PEER" dev "tun$TUN" src "$LOCAL" congctl bbr || echo "no BBR: the kernel's own congestion control"
disk=
for try in {1..60}; do
    for file in /sys/block/*/serial /sys/block/*/device/serial; do
        serial=
        { read -r serial < "$file"; } 2> /dev/null || true # it may end without a line feed
        name=${file#/sys/block/}
        [ "${serial//-/}" != "${VOLUME//-/}" ] || disk=/dev/${name%%/*}
    done
    [ -n "$disk" ] || [ ! -b "$DISK_BY_NAME" ] || [ -e "/sys/block/${DISK_BY_NAME#/dev/}/serial" ] || disk=$DISK_BY_NAME
    [ -z "$disk" ] || break
    sleep 1
done
[ -n "$disk" ] || { echo "volume $VOLUME has not appeared" >&2; exit 1; }
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
    # Of an earlier configuration: ours alone are owned by the tunnel's user.
    if [ -e "$other/owner" ] && [ "${other##*/}" != "tun$tun" ] && [ "$(< "$other/owner")" = "$(id --user "$user")" ]; then
        quiet ip link delete "${other##*/}"
        did "took ${other##*/} away"
    fi
done
if [ "$changed" -ne "$before" ] && [ -e "/sys/class/net/tun$tun" ]; then
    # The addresses may be others now.
    quiet ip address flush dev "tun$tun"
fi
if [ "$changed" -ne "$before" ] || [ ! -e "/sys/class/net/tun$tun" ] || [ ! -b "/dev/tidemark/$id" ]; then
    quiet /usr/local/sbin/tidemark-tunnel-server || die "the tunnel's end could not be made" "see the lines above"
    did "made tun$tun and /dev/tidemark/$id"
fi
printf '{"volume": "%s", "disk": "%s", "size_bytes": %s}\n' "$id" "$disk" "$((sectors * 512))"
finish
# end of script
