# Shows what the client has, each part under a line "@@ NAME": the tools' own output, read by the task.
echo "@@ mdstat"
[ ! -r /proc/mdstat ] || cat /proc/mdstat

# held DEVICE: whether an array has taken it; only what is free is searched for labels.
held() {
    compgen -G "/sys/block/$1/holders/md*" > /dev/null
}

for array in /sys/block/md*; do
    [ -d "$array/md" ] || continue
    name=${array##*/}
    echo "@@ detail $name"
    mdadm --detail "/dev/$name" || true
    if ! held "$name"; then
        # A mirror carries the label of the stripe over it.
        echo "@@ label $name"
        mdadm --examine --export "/dev/$name" 2> /dev/null || true
    fi
done
for session in /sys/class/iscsi_session/session*; do
    [ -e "$session/targetname" ] || continue
    for disk in "$session"/device/target*/*:0/block/*; do
        [ -e "$disk" ] || continue
        name=${disk##*/}
        read -r target < "$session/targetname"
        read -r session_state < "$session/state"
        read -r state < "$disk/device/state"
        read -r sectors < "$disk/size"
        printf '@@ disk %s\ntarget=%s\nsession=%s\nstate=%s\nsize_bytes=%s\n' \
            "$name" "$target" "$session_state" "$state" "$((sectors * 512))"
        if ! held "$name" && [ "$state" = running ]; then
            mdadm --examine --export "/dev/$name" 2> /dev/null || true
        fi
    done
done
echo "@@ end"
# end of script
