# Lets the tunnel's key move bytes over SSH as the login user, and nothing else, for a measurement.
# Arguments: open|close USER PUBLIC_KEY FROM SECONDS
user=$2
key=$3
IFS=: read -r _ _ _ group _ home _ < <(getent passwd "$user") || true
[ -n "$home" ] || die "there is no user $user" "correct ssh.user in the inventory"
file=$(readlink --canonicalize "$home/.ssh/authorized_keys") # it may be a link
mark=tidemark-measurement
# The user's log-in keys: an unreadable file is an error and not "no keys", and a failed write must not truncate it.
[ -e "$file" ] || install -D -m 600 -o "$user" -g "$group" /dev/null "$file"
code=0
kept=$(grep -v " $mark\$" "$file") || code=$?
[ "$code" -le 1 ] || die "$file can't be read" "see the message above"
if [ "$1" = open ]; then
    kept+=$'\n'"restrict,from=\"$4\",command=\"case \$SSH_ORIGINAL_COMMAND in read) timeout $5 dd if=/dev/zero bs=256k ;; \
write) timeout $5 dd of=/dev/null bs=256k ;; esac 2> /dev/null\" $key $mark"
fi
# A copy keeps owner and mode.
cp --preserve=all "$file" "$file.tidemark"
printf '%s\n' "$kept" > "$file.tidemark" || die "$file.tidemark can't be written" "see that its disk has room"
mv "$file.tidemark" "$file"
finish
# end of script
