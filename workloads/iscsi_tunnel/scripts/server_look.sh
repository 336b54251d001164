# What must be known of the server before its tunnel is made. No argument.
tun=
local=
peer=
if [ -r "$FOLDER/server" ]; then
    # shellcheck source=/dev/null
    . "$FOLDER/server"
    tun=$TUN
    local=$LOCAL
    peer=$PEER
fi
printf '{"tun": "%s", "local": "%s", "remote": "%s"}\n' "$tun" "$local" "$peer"
devices=(/sys/class/net/tun*)
printf '{"devices": "%s"}\n' "${devices[*]##*/}"
printf '{"routes": %s}\n' "$(routes)"
# Whoever is logged in now: the kernel says so in the list entry of that initiator.
for acl in /sys/kernel/config/target/iscsi/"$AUTHORITY":*/tpgt_1/acls/*; do
    [ -e "$acl/info" ] || continue
    read -r first < "$acl/info"
    if [ "${first#No active}" = "$first" ]; then
        printf '{"attached_by": "%s"}\n' "${acl##*/}"
    fi
done
finish
# end of script
