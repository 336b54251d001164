# Prints the server's state before its tunnel is made. No argument.
tun=
local=
peer=
size_bytes=
if [ -r "$FOLDER/server" ]; then
    # shellcheck source=/dev/null
    . "$FOLDER/server"
    tun=$TUN
    local=$LOCAL
    peer=$PEER
    size_bytes=${SIZE_BYTES:-}
fi
json '{"tun": "%s", "local": "%s", "remote": "%s", "size_bytes": %s}' "$tun" "$local" "$peer" "${size_bytes:-null}"
devices=(/sys/class/net/tun*)
json '{"devices": "%s"}' "${devices[*]##*/}"
echo "{\"routes\": $(routes)}"
# The initiator that is logged in: the kernel notes it in the ACL's info.
for acl in /sys/kernel/config/target/iscsi/"$AUTHORITY":*/tpgt_1/acls/*; do
    [ -e "$acl/info" ] || continue
    read -r first < "$acl/info"
    if [ "${first#No active}" = "$first" ]; then
        json '{"attached_by": "%s"}' "${acl##*/}"
    fi
done
finish
# end of script
