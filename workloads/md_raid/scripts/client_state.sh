# Prints the client's state in sections, each after a line "@@ NAME": the tools' own output, which the task parses.
# Argument: [disks], which leaves out what mdadm shows of the arrays and their labels.
only=${1:-}
[ -r /proc/mdstat ] || die "the kernel has no md arrays (/proc/mdstat is missing)" "run configure, which loads them"
echo "@@ mdstat"
cat /proc/mdstat

# holder_of DEVICE: sets `holder` to the device that holds it, or to nothing; and `examined` to whether its label must be
# read. A running array lists its legs. One that does not run (udev had one leg only) lists none, and must be distinguished
# from an array that does not exist.
holder_of() {
    local link state
    holder=
    examined=yes
    for link in "/sys/block/$1/holders/"*; do
        [ -e "$link" ] || continue
        holder=${link##*/}
        state=inactive
        { read -r state < "/sys/block/$holder/md/array_state"; } 2> /dev/null || true
        [ "$state" = inactive ] || [ "$state" = clear ] || examined=no
    done
}

# show_label DEVICE: prints the md label. Only mdadm's own message (Examine.c) means that there is none: any other failure
# would pass for a fresh disk.
show_label() {
    local words
    if words=$(mdadm --examine --export "$1" 2>&1); then
        echo "$words"
    elif [[ $words != *"No md superblock detected"* ]]; then
        words=${words//$'\n'/ }
        echo "label_fault=${words:-mdadm --examine failed without a word}"
    fi
}

for array in /sys/block/md*; do
    [ "$only" != disks ] || break
    [ -d "$array/md" ] || continue
    name=${array##*/}
    echo "@@ detail $name"
    mdadm --detail "/dev/$name" || true # the section is then empty, which the task refuses
    holder_of "$name"
    if [ "$examined" = yes ]; then
        # A mirror carries the label of the stripe over it.
        echo "@@ label $name"
        show_label "/dev/$name"
    fi
done
for session in /sys/class/iscsi_session/session*; do
    [ -e "$session/targetname" ] || continue
    for disk in "$session"/device/target*/*:0/block/*; do
        name=${disk##*/}
        [ -e "/sys/block/$name/size" ] || continue # none, or just appearing
        read -r target < "$session/targetname"
        read -r session_state < "$session/state"
        read -r state < "$disk/device/state"
        read -r sectors < "$disk/size"
        holder_of "$name"
        printf '@@ disk %s\ntarget=%s\nsession=%s\nstate=%s\nsize_bytes=%s\n' \
            "$name" "$target" "$session_state" "$state" "$((sectors * 512))"
        [ -z "$holder" ] || echo "holder=$holder"
        if [ "$examined" = yes ] && [ "$only" != disks ]; then
            if [ "$state" = running ]; then
                show_label "/dev/$name"
            else
                echo "label_fault=the disk is $state"
            fi
        fi
    done
done
echo "@@ end"
# end of script
