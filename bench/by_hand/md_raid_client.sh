#!/bin/bash
# The client of md-raid, as a person would write it for a fresh machine: bench/configure.py compares with it.
# Arguments: INITIATOR "PORTAL..." "IQN..." (the legs of a mirror), once for each mirror
set -eu
initiator=$1
portals=$2
shift 2
dpkg --status mdadm open-iscsi > /dev/null
modprobe -a iscsi_tcp sd_mod raid0 raid1 raid10
echo "InitiatorName=$initiator" > /etc/iscsi/initiatorname.iscsi
systemctl restart iscsid
systemctl enable --quiet open-iscsi.service iscsid.socket
mkdir -p /etc/mdadm/mdadm.conf.d
echo 'ARRAY <ignore> UUID=0:0:0:0' > /etc/mdadm/mdadm.conf.d/by-hand.conf
for portal in $portals; do
    iscsiadm --mode discovery --type sendtargets --portal "$portal" > /dev/null
done
for setting in node.startup=automatic node.session.timeo.replacement_timeout=1 \
    'node.conn[0].timeo.noop_out_interval=1' 'node.conn[0].timeo.noop_out_timeout=2'; do
    iscsiadm --mode node --op update --name "${setting%%=*}" --value "${setting#*=}"
done
iscsiadm --mode node --login > /dev/null
udevadm settle
number=0
mirrors=()
for legs in "$@"; do
    number=$((number + 1))
    disks=()
    for iqn in $legs; do
        disks+=("$(readlink --canonicalize /dev/disk/by-path/*"$iqn"-lun-0)")
    done
    mdadm --quiet --create "/dev/md$number" --run --metadata=1.2 --homehost=tidemark --name="md$number" --level=10 \
        --layout="o${#disks[@]}" --raid-devices="${#disks[@]}" --chunk=512 --bitmap=internal --bitmap-chunk=4096K \
        --assume-clean "${disks[@]}"
    mirrors+=("/dev/md$number")
done
mdadm --quiet --create /dev/md99 --run --metadata=1.2 --homehost=tidemark --name=md99 --level=0 \
    --raid-devices="${#mirrors[@]}" --chunk=512 "${mirrors[@]}"
mdadm --detail --scan > /etc/mdadm/mdadm.conf.d/by-hand.conf
blockdev --getsize64 /dev/md99
