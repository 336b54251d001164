#!/bin/bash
# A storage server of md-raid, as a person would write it for fresh machines: bench/configure.py compares with it.
# Arguments: INITIATOR ADDRESS VOLUME_ID=IQN...
set -eu
initiator=$1
address=$2
shift 2
dpkg --status lvm2 targetcli-fb > /dev/null
modprobe -a dm_mod target_core_mod target_core_iblock iscsi_target_mod
echo 'SUBSYSTEM=="block", ENV{DM_NAME}=="tidemark--*-leg", ENV{ID_FS_TYPE}=="linux_raid_member", ENV{ID_FS_TYPE}=""' \
    > /etc/udev/rules.d/63-tidemark-legs.rules
udevadm control --reload
declare -A disk_of=()
for file in /sys/block/*/serial /sys/block/*/device/serial; do
    [ -r "$file" ] || continue
    name=${file#/sys/block/}
    serial=$(tr -d -- '-\n' < "$file")
    [ -z "$serial" ] || disk_of[$serial]=/dev/${name%%/*}
done
for pair in "$@"; do
    id=${pair%%=*}
    {
        vgcreate --quiet --yes "tidemark-$id" "${disk_of[${id//-/}]}"
        lvcreate --quiet --yes --wipesignatures n --zero n --size 15g --name leg "tidemark-$id"
    } > /dev/null &
done
for _ in "$@"; do
    wait -n
done
udevadm settle
python3 - "$@" << 'PYTHON'
import concurrent.futures, os, sys


def zero(path):
    with open(path, "rb", buffering=0) as leg:
        size = leg.seek(0, os.SEEK_END)
        places = [(0, 1 << 20), (size - (1 << 20), 1 << 20), *((at, 65536) for at in range(64 << 20, size - (1 << 20), 64 << 20))]
        return not any(os.pread(leg.fileno(), length, at).strip(b"\0") for at, length in places)


paths = ["/dev/tidemark-%s/leg" % each.partition("=")[0] for each in sys.argv[1:]]
with concurrent.futures.ThreadPoolExecutor(len(paths)) as pool:
    sys.exit(not all(pool.map(zero, paths)))
PYTHON
{
    for pair in "$@"; do
        id=${pair%%=*}
        iqn=${pair#*=}
        echo "/backstores/block create $id /dev/tidemark-$id/leg"
        echo "/iscsi create $iqn"
        echo "/iscsi/$iqn/tpg1/luns create /backstores/block/$id"
        echo "/iscsi/$iqn/tpg1/acls create $initiator"
        echo "/iscsi/$iqn/tpg1/portals delete 0.0.0.0 3260"
        echo "/iscsi/$iqn/tpg1/portals create $address"
    done
    echo saveconfig
} | targetcli > /dev/null
systemctl enable --quiet rtslib-fb-targetctl.service
