# What the scripts of experiments over iSCSI share; sent after workloads/scripts/lib.sh. workloads/iscsi.py has the same names.
# shellcheck disable=SC2034  # the scripts use what is set here
AUTHORITY=iqn.2026-11.io.tidemark
PORT=3260

# scan_disks: notes each disk's serial, without hyphens: EBS drops the hyphen from the id that it shows as NVMe serial.
declare -A disk_by_serial=()
declare -A has_serial=()
scan_disks() {
    local file serial name
    for file in /sys/block/*/serial /sys/block/*/device/serial; do
        [ -r "$file" ] || continue
        serial=
        read -r serial < "$file" 2> /dev/null || true
        [ -n "$serial" ] || continue
        name=${file#/sys/block/}
        disk_by_serial[${serial//-/}]=/dev/${name%%/*}
        has_serial[/dev/${name%%/*}]=yes
    done
}

# disk_of VOLUME_ID DEVICE: sets `disk`, after scan_disks. Xen shows no serial: there the attachment's device name counts,
# sdf being seen as xvdf; a disk that has a serial is not taken by its name.
disk_of() {
    local name
    disk=${disk_by_serial[${1//-/}]:-}
    for name in "${2/#\/dev\/sd//dev/xvd}" "$2"; do
        if [ -z "$disk" ] && [ -b "$name" ] && [ -z "${has_serial[$name]:-}" ]; then
            disk=$name
        fi
    done
    [ -n "$disk" ]
}

# look_at_sessions: reads the iSCSI sessions there are; session_of maps a target's name to its session's directory.
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

# session_ready IQN: whether the session is logged in and its disk is there, after look_at_sessions; sets `disk`.
session_ready() {
    local session=${session_of[$1]:-} state size
    disk=
    [ -n "$session" ] || return 1
    { read -r state < "$session/state"; } 2> /dev/null || return 1
    [ "$state" = LOGGED_IN ] || return 1
    for disk in "$session/device"/target*/*:0/block/*; do
        if { read -r size < "$disk/size"; } 2> /dev/null && [ "$size" -gt 0 ]; then
            disk=${disk##*/}
            return 0
        fi
    done
    return 1
}
