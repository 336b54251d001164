# Makes a volume group and a logical volume on each EBS volume, which is found by its id.
# Arguments: SIZE_GIB VOLUME_ID=DEVICE...
size_gib=$1
shift
size_bytes=$((size_gib << 30))

# A leg holds a member of the client's array. Without this, udev here would find the member inside the logical
# volume after a restart, assemble the client's array on the storage server, and so hold the volume that the target
# is to export. The host's own arrays are assembled as before: between udev's rules that read a volume's contents (60) and
# mdadm's (64), this rule clears the result for a leg.
put /etc/udev/rules.d/63-tidemark-legs.rules \
    'SUBSYSTEM=="block", ENV{DM_NAME}=="tidemark--*-leg", ENV{ID_FS_TYPE}=="linux_raid_member", ENV{ID_FS_TYPE}=""'
if [ -d /etc/mdadm ]; then
    names=()
    for ((number = 1; number <= $#; number++)); do
        names+=("md$number")
    done
    put /etc/mdadm/mdadm.conf.d/tidemark.conf "$(ignored "${names[@]}")"
fi
if [ "$changed" -gt 0 ]; then
    udevadm control --reload
fi

# At boot udev makes LVM activate the volumes (lvm-activate-VG.service, lvm2-…): waits for that.
for pair in "$@"; do
    if [ ! -b "/dev/tidemark-${pair%%=*}/leg" ]; then
        quiet udevadm settle || die "udev is still busy" "see journalctl -u systemd-udevd on that host, and run again"
        boot_is_over 'lvm*'
        break
    fi
done

scan_disks
# Into variables first: in a pipe or a loop a failure of the tool would look like an empty list.
volumes=$(pvs --noheadings --options pv_name,vg_name) || die "pvs failed" "see the message above"
legs=$(lvs --noheadings --units b --nosuffix --options vg_name,lv_name,lv_size) || die "lvs failed" "see the message above"
declare -A group_of_disk=() is_pv=()
while read -r name group; do
    group_of_disk[${name:-none}]=$group
    is_pv[${name:-none}]=yes
done <<< "$volumes"
declare -A size_of_leg=()
while read -r group name bytes; do
    [ "$name" != leg ] || size_of_leg[$group]=$bytes
done <<< "$legs"

# signatures_of DISK...: prints a line "NAME TYPE" for each signature. All disks at once: reading takes the time.
signatures_of() {
    local disk pid pids=()
    for disk in "$@"; do
        wipefs --noheadings --output DEVICE,TYPE "$disk" &
        pids+=($!)
    done
    for pid in "${pids[@]}"; do
        wait "$pid" || return
    done
}

# What each volume lacks; nothing is changed before all were checked.
declare -A disk_of_volume=() volume_of_disk=()
new=()
for pair in "$@"; do
    id=${pair%%=*}
    vg=tidemark-$id
    disk_of "$id" "${pair#*=}"
    [ -z "${volume_of_disk[$disk]:-}" ] \
        || die "$disk is both $id and ${volume_of_disk[$disk]}" "give each volume an id that one disk alone shows"
    disk_of_volume[$id]=$disk
    volume_of_disk[$disk]=$id
    group=${group_of_disk[$disk]:-}
    if [ -z "$group" ]; then
        new+=("$disk")
    elif [ "$group" != "$vg" ]; then
        die "$disk ($id) belongs to the volume group $group" "give a fresh volume, or run vgremove $group"
    fi
    bytes=${size_of_leg[$vg]:-$size_bytes}
    if [ "$bytes" -ne "$size_bytes" ]; then
        die "/dev/$vg/leg is $bytes bytes, not $size_gib GiB" \
            "run lvremove $vg/leg on that host if nothing on it is wanted"
    fi
done
if [ "${#new[@]}" -gt 0 ]; then
    signatures=$(signatures_of "${new[@]}") || die "wipefs failed" "see the message above"
    while read -r disk signature; do
        # A volume that LVM has labelled, and that is in no group, is still fresh: vgcreate was interrupted.
        if [ -n "$disk" ] && { [ "$signature" != LVM2_member ] || [ -z "${is_pv[/dev/$disk]:-}" ]; }; then
            die "/dev/$disk holds data ($signature)" "give a fresh volume, or run wipefs --all /dev/$disk on that host"
        fi
    done <<< "$signatures"
    for disk in "${new[@]}"; do
        if taken "$disk" ours; then # vgcreate finds any other exclusive user
            die "$disk is in use on that host ($taker)" "give a fresh volume, or take it from what uses it (lsblk $disk)"
        fi
    done
fi

# make_leg VOLUME_ID: makes the volume group, logical volume and device, unless they exist.
make_leg() {
    local vg=tidemark-$1
    if [ -z "${group_of_disk[${disk_of_volume[$1]}]:-}" ]; then
        # That it has no signature was seen above: LVM need not look at its forty places again.
        quiet vgcreate --yes --config allocation/use_blkid_wiping=0 "$vg" "${disk_of_volume[$1]}" \
            || die "vgcreate $vg on ${disk_of_volume[$1]} failed" "see the message above"
    fi
    if [ -z "${size_of_leg[$vg]:-}" ]; then
        # Nothing is wiped or zeroed: storage_zeroed.sh checks that the volume reads as zero. udev is waited for once, at
        # the end: it reads what each new device holds, which took as long as all else.
        quiet lvcreate --yes --noudevsync --wipesignatures n --zero n --size "${size_gib}g" --name leg "$vg" \
            || die "$1 has no room for $size_gib GiB" "use volumes larger than $size_gib GiB"
    elif [ ! -b "/dev/$vg/leg" ]; then
        quiet vgchange --activate y "$vg"
    fi
}

# All at once: each reads its own disk.
declare -A worker=()
for pair in "$@"; do
    id=${pair%%=*}
    if [ ! -b "/dev/tidemark-$id/leg" ] || [ -z "${size_of_leg[tidemark-$id]:-}" ]; then
        make_leg "$id" &
        worker[$id]=$!
    fi
done
for id in "${!worker[@]}"; do
    wait "${worker[$id]}"
    did "made /dev/tidemark-$id/leg of $size_gib GiB on ${disk_of_volume[$id]}"
done
[ "${#worker[@]}" -eq 0 ] || udevadm settle
for pair in "$@"; do
    id=${pair%%=*}
    path=/dev/tidemark-$id/leg
    [ -b "$path" ] || die "$path has not appeared" "see journalctl -u systemd-udevd on that host"
    json '{"volume": "%s", "disk": "%s", "path": "%s", "size_bytes": %s}' \
        "$id" "${disk_of_volume[$id]}" "$path" "$size_bytes"
done

# Arrays that were assembled here before the rule above was in place.
for array in /sys/block/md*/slaves/dm-*; do
    [ -e "$array/dm/name" ] || continue
    read -r name < "$array/dm/name"
    case $name in
        tidemark--*)
            array=${array#/sys/block/}
            stop_array "${array%%/*}" # the client's
            ;;
    esac
done
finish
# end of script
