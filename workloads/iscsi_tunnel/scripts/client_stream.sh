# Moves bytes over one SSH connection as fast as possible. Arguments: read|write USER SERVER PORT ALIAS
# ssh itself reports how many bytes it moved in which time, without the log-in.
operation=$1
options=(-F /dev/null -T -i "$FOLDER/id_ed25519" -p "$4" -o IdentitiesOnly=yes -o BatchMode=yes -o LogLevel=VERBOSE
    -o UserKnownHostsFile="$FOLDER/known_hosts" -o GlobalKnownHostsFile=/dev/null -o HostKeyAlias="$5"
    -o StrictHostKeyChecking=yes -o UpdateHostKeys=no -o ConnectTimeout=10 -o Compression=no
    -o "Ciphers=aes128-gcm@openssh.com,aes256-gcm@openssh.com,chacha20-poly1305@openssh.com")
if [ "$operation" = read ]; then
    words=$(ssh -n "${options[@]}" -- "$2@$3" read 2>&1 > /dev/null) || true
else
    # The server ends it after SECONDS.
    words=$(ssh "${options[@]}" -- "$2@$3" write 2>&1 > /dev/null < /dev/zero) || true
fi
pattern='Transferred: sent ([0-9]+), received ([0-9]+) bytes, in ([0-9.]+) seconds'
[[ $words =~ $pattern ]] || die "ssh moved nothing (${words//$'\n'/ })" "see journalctl -u ssh on the server, and run again"
json '{"sent_bytes": %s, "received_bytes": %s, "seconds": %s}' \
    "${BASH_REMATCH[1]}" "${BASH_REMATCH[2]}" "${BASH_REMATCH[3]}"
finish
# end of script
