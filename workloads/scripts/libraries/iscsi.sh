# Functions of the experiments over iSCSI; sent after workloads/scripts/lib.sh. Names as in workloads/iscsi.py.
# shellcheck disable=SC2034  # the scripts use what is set here
AUTHORITY=iqn.2026-11.io.tidemark
PORT=3260

# scan_disks: notes the serial of each whole disk that shows one. NVMe's names of further paths (nvme0c0n1) are no disks.
declare -A serial_of=()
scan_disks() {
    local file serial name
    serial_of=()
    for file in /sys/block/*/serial /sys/block/*/device/serial; do
        name=${file#/sys/block/}
        name=${name%%/*}
        if [ ! -r "$file" ] || [ ! -e "/sys/block/$name/size" ]; then
            continue
        fi
        serial=
        { read -r serial < "$file"; } 2> /dev/null || true # it may end without a line feed
        [ -z "$serial" ] || serial_of[/dev/${name//!//}]=$serial
    done
}

# shows DISK VOLUME_ID: succeeds when the disk's serial is the volume's id. EBS drops the hyphen of its ids in NVMe's serial;
# virtio-blk keeps 20 bytes of it (VIRTIO_BLK_ID_BYTES in linux/virtio_blk.h).
shows() {
    local serial=${serial_of[$1]}
    [ "$serial" = "$2" ] || { [[ $2 == vol-* ]] && [ "$serial" = "${2//-/}" ]; } \
        || { [[ $1 == /dev/vd* ]] && [ "${#serial}" -eq 20 ] && [[ $2 == "$serial"?* ]]; }
}

# whole_disk NAME: sets `whole` to the kernel's name of the whole disk that NAME, perhaps a link, leads to. Fails with
# `fault` set when it is no whole disk, and without when it does not exist.
whole_disk() {
    local path name
    whole=
    fault=
    path=$(readlink --canonicalize-existing -- "$1") && [ -b "$path" ] || return 1
    name=${path#/dev/}
    name=${name//\//!}
    if [ -e "/sys/class/block/$name/partition" ] || [ ! -e "/sys/block/$name/size" ]; then
        fault="$1 is a partition"
    elif [ -d "/sys/block/$name/dm" ]; then
        fault="$1 is a logical volume"
    elif [ -d "/sys/block/$name/md" ]; then
        fault="$1 is an array"
    elif [ -d "/sys/block/$name/loop" ]; then
        fault="$1 is a loop device"
    else
        whole=$path
        return 0
    fi
    return 1
}

# find_disk VOLUME_ID DEVICE: sets `disk`, after scan_disks; or sets `fault` and `remedy`, and fails. The disk has the
# volume's id as serial. Where several disks show that serial, or none shows any, DEVICE decides. Xen shows no serial, and
# calls sdf xvdf. A name below /dev/disk/by-id identifies a disk; any other name may lead to another disk after a boot, so a
# disk with another serial is refused.
find_disk() {
    local each named='' found=() name=$2
    disk=
    remedy="attach the volume, or correct its id in the inventory"
    if [[ $2 == /dev/sd[a-z]* ]] && [ ! -e "$2" ]; then
        name=/dev/xvd${2#/dev/sd}
    fi
    if whole_disk "$name"; then
        named=$whole
    elif [ -n "$fault" ]; then
        remedy="a whole disk is needed: name one in the inventory (ls -l /dev/disk/by-id on that host)"
        return 1
    fi
    for each in "${!serial_of[@]}"; do
        if shows "$each" "$1"; then
            [ "$each" != "$named" ] || disk=$each
            found+=("$each")
        fi
    done
    if [ -n "$disk" ]; then
        return 0
    elif [ "${#found[@]}" -gt 1 ]; then
        fault="${#found[@]} disks have the serial $1 (${found[*]})"
        remedy="a serial that several show identifies none: give another id, and as device the disk's name below /dev/disk/by-id"
        return 1
    elif [ "${#found[@]}" -eq 1 ] && [ -n "$named" ] && [[ $2 == /dev/disk/by-id/* ]]; then
        fault="${found[0]} has the serial $1, and $2 leads to $named"
        remedy="correct id or device in the inventory: both must name one disk"
        return 1
    elif [ "${#found[@]}" -eq 1 ]; then
        disk=${found[0]}
        return 0
    elif [ -n "$named" ] && { [ -z "${serial_of[$named]:-}" ] || [[ $2 == /dev/disk/by-id/* ]]; }; then
        disk=$named
        return 0
    fi
    fault="no disk has the serial $1"
    [ "${#serial_of[@]}" -eq 0 ] || remedy+=" (serials there: ${serial_of[*]})"
    return 1
}

# disk_of VOLUME_ID DEVICE: sets `disk`, after scan_disks, or ends the script.
disk_of() {
    find_disk "$1" "$2" || die "$fault" "$remedy"
}

# what_is_on DISK: finds everything that uses a disk. Sets `stack` to the kernel's names of the disk, its partitions and the
# devices that hold them, bottom up; `holders` to those devices' usual names; `swaps` to the swap devices among them; and
# `mounts` to the mount points (spaces as \040), in the order of mounting.
what_is_on() {
    local name=${1#/dev/} names=" " numbers=" " lines line fields source
    stack=()
    holders=()
    mounts=()
    swaps=()
    climb "/sys/block/${name//\//!}"
    lines_of /proc/self/mountinfo
    for line in "${lines[@]}"; do
        read -ra fields <<< "$line"
        source=${line##* - }
        source=${source#* }
        source=${source%% *}
        # By device number, under any name; btrfs has numbers of its own.
        if [[ $numbers == *" ${fields[2]} "* ]] || [[ $names == *" $source "* ]]; then
            mounts+=("${fields[4]}")
        fi
    done
    lines_of /proc/swaps
    for line in "${lines[@]}"; do
        [[ $names != *" ${line%%[[:blank:]]*} "* ]] || swaps+=("${line%%[[:blank:]]*}")
    done
}

# climb PATH: adds a device, its partitions and their holders, for what_is_on.
climb() {
    local path=$1 name=${1##*/} each='' number=''
    [[ " ${stack[*]} " != *" $name "* ]] || return 0
    stack+=("$name")
    { read -r number < "$path/dev"; } 2> /dev/null || true
    { read -r each < "$path/dm/name"; } 2> /dev/null || true
    numbers+="$number "
    names+="/dev/${name//!//} /dev/mapper/$each "
    if [ -n "${2:-}" ]; then
        if [ -n "$each" ]; then holders+=("/dev/mapper/$each"); else holders+=("/dev/$name"); fi
    fi
    for each in "$path/$name"*; do
        [ ! -d "$each" ] || climb "$each"
    done
    for each in "$path/holders/"*; do
        [ ! -e "$each" ] || climb "/sys/block/${each##*/}" holder
    done
}

# taken DISK [ours]: sets `taker` to what uses the disk, or one of its partitions, on this host; fails when nothing does.
# A user without a holder (ZFS, a target) has opened the disk exclusively, so a second exclusive open fails; with `ours`
# (our own target may have it) that is not tried.
taken() {
    local code=0
    what_is_on "$1"
    taker="${holders[*]} ${mounts[*]} ${swaps[*]}"
    read -r taker <<< "$taker" || true
    [ -z "$taker" ] || return 0
    [ "${2:-}" != ours ] || return 1
    # 16: EBUSY. Any other error is left to the tool that will use the disk.
    python3 -I -c 'import os, sys
try:
    os.open(sys.argv[1], os.O_RDONLY | os.O_EXCL)
except OSError as error:
    sys.exit(error.errno)
' "$1" || code=$?
    taker="something that has it for itself (lsof $1)"
    case $code in
        16) return 0 ;;
        127) die "python3 is not there" "install it on that host" ;;
    esac
    return 1
}

# own_interface NAME INITIATOR: makes an interface record whose log-ins use INITIATOR as the initiator's name. The host's
# own name, other records and their sessions stay as they are.
own_interface() {
    local record=/etc/iscsi/ifaces/$1 setting
    quiet systemctl start iscsid.service || die "iscsid does not start" "see journalctl -u iscsid on that host"
    [ -s /etc/iscsi/initiatorname.iscsi ] || die "/etc/iscsi/initiatorname.iscsi is missing" "reinstall open-iscsi on that host"
    if [ ! -e "$record" ]; then
        quiet iscsiadm --mode iface --interface "$1" --op new || die "iscsiadm can't make the interface record $1" "see the message above"
        did "made the interface record $1"
    fi
    if ! grep -qx "iface.initiatorname = $2" "$record"; then
        for setting in iface.transport_name=tcp "iface.initiatorname=$2"; do
            quiet iscsiadm --mode iface --interface "$1" --op update --name "${setting%%=*}" --value "${setting#*=}" \
                || die "iscsiadm can't set the interface record $1" "see the message above"
        done
        to_last=yes
        did "named the initiator $2"
    fi
}

# look_at_sessions: reads the iSCSI sessions; session_of maps a target's name to its session's directory.
declare -A session_of=()
look_at_sessions() {
    local session name
    session_of=()
    for session in /sys/class/iscsi_session/session*; do
        if { read -r name < "$session/targetname"; } 2> /dev/null; then
            session_of[$name]=$session
        fi
    done
}

# session_ready IQN: succeeds when the session is logged in and its disk exists, after look_at_sessions; sets `disk`. A disk
# is listed in /sys/block last, after its own directory and its attributes (device_add_disk in block/genhd.c).
session_ready() {
    local session=${session_of[$1]:-} state size
    disk=
    [ -n "$session" ] || return 1
    { read -r state < "$session/state"; } 2> /dev/null || return 1
    [ "$state" = LOGGED_IN ] || return 1
    for disk in "$session/device"/target*/*:0/block/*; do
        disk=${disk##*/}
        if { read -r size < "/sys/block/$disk/size"; } 2> /dev/null && [ "$size" -gt 0 ]; then
            return 0
        fi
    done
    return 1
}
