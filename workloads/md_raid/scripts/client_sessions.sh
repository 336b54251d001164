# Finds the targets, logs in to all, and waits for their disks.
# Arguments: SETTING=VALUE... -- IQN=ADDRESS...
settings=()
while [ "$1" != -- ]; do
    settings+=("$1")
    shift
done
shift
WAIT_S=60

# record_of IQN ADDRESS: sets `record` to the file of the target's settings for our interface, or to nothing.
record_of() {
    record=/etc/iscsi/nodes/$1/$2,$PORT,1/$IFACE
    [ -f "$record" ] || record=
}

# Waits until the host's own services for sessions have finished at boot.
boot_is_over open-iscsi.service iscsid.service

# Removes records and sessions of an earlier deployment, whose targets have gone, and those of the host's own interface,
# which earlier versions used. Other experiments have interfaces of their own.
for file in /etc/iscsi/nodes/"$AUTHORITY":*/*/{"$IFACE",default}; do
    [ -e "$file" ] || continue
    interface=${file##*/}
    address=${file%/*}
    address=${address##*/}
    address=${address%%,*}
    target=${file%/*/*}
    target=${target##*/}
    if [ "$interface" = default ] || [[ " $* " != *" $target=$address "* ]]; then
        words=(--mode node --targetname "$target" --portal "$address" --interface "$interface")
        quiet iscsiadm "${words[@]}" --logout || true # there may be no session
        quiet iscsiadm "${words[@]}" --op delete \
            || die "$target at $address can't be forgotten" "see iscsiadm --mode session on that host, and run configure again"
        to_last=yes
        did "forgot $target at $address"
    fi
done

declare -A asked=()
for pair in "$@"; do
    target=${pair%%=*}
    address=${pair#*=}
    record_of "$target" "$address"
    if [ -z "$record" ] && [ -z "${asked[$address]:-}" ]; then
        quiet iscsiadm --mode discovery --type sendtargets --portal "$address" --interface "$IFACE" \
            || die "discovery at portal $address:$PORT failed" \
                "see that iSCSI is open between the members (security group) and run configure again"
        asked[$address]=yes
        to_last=yes
        did "discovered the targets of $address"
        record_of "$target" "$address"
    fi
    [ -n "$record" ] \
        || die "portal $address does not offer $target" "see targetcli ls on that storage server; run configure again"
done

# One call for all records of our interface.
for setting in "${settings[@]}"; do
    for pair in "$@"; do
        record_of "${pair%%=*}" "${pair#*=}"
        if [[ $'\n'$(< "$record")$'\n' != *$'\n'"${setting%%=*} = ${setting#*=}"$'\n'* ]]; then
            quiet iscsiadm --mode node --interface "$IFACE" --op update --name "${setting%%=*}" --value "${setting#*=}" \
                || die "iscsiadm can't set $setting" "see the message above"
            # shellcheck disable=SC2034  # lib.sh uses it
            to_last=yes
            did "set $setting"
            break
        fi
    done
done

look_at_sessions
missing=0
for pair in "$@"; do
    [ -n "${session_of[${pair%%=*}]:-}" ] || missing=$((missing + 1))
done
if [ "$missing" -gt 0 ]; then
    # Logs in to all at once; 15 means that some sessions exist already.
    code=0
    output=$(iscsiadm --mode node --interface "$IFACE" --login 2>&1) || code=$?
    if [ "$code" -ne 0 ] && [ "$code" -ne 15 ]; then
        echo "$output" >&2
        die "login failed for some of the targets" "see that every storage server is up, then run configure again"
    fi
    did "logged in to $missing targets"
fi

SECONDS=0
for pair in "$@"; do
    target=${pair%%=*}
    until session_ready "$target"; do
        if [ "$SECONDS" -ge "$WAIT_S" ]; then
            die "the disk of $target has not appeared in $WAIT_S s" \
                "see that the storage server at ${pair#*=} is up, then run configure again"
        fi
        rest 0.2
        look_at_sessions
    done
    for setting in "${settings[@]}"; do
        if [ "${setting%%=*}" = node.session.timeo.replacement_timeout ]; then
            # A session keeps the timeout that it logged in with.
            set_value "${session_of[$target]}/recovery_tmo" "${setting#*=}"
        fi
    done
    device=/sys/block/$disk/device
    read -r state < "$device/state"
    if [ "$state" != running ]; then
        # A disk whose session was away longer than the replacement timeout stays offline until its state is written.
        echo running > "$device/state"
        echo 1 > "$device/rescan"
        did "brought $disk back"
    fi
    read -r sectors < "/sys/block/$disk/size"
    json '{"target": "%s", "portal": "%s", "device": "/dev/%s", "size_bytes": %s}' \
        "$target" "${pair#*=}" "$disk" "$((sectors * 512))"
done
udevadm settle
finish
# end of script
