# Lets the tunnel's key move bytes over SSH as the login user, and nothing else, for a measurement.
# Arguments: open|close USER PUBLIC_KEY FROM SECONDS
user=$2
key=$3
IFS=: read -r _ _ _ _ _ home _ < <(getent passwd "$user")
file=$home/.ssh/authorized_keys
mark=tidemark-measurement
kept=$(grep -v " $mark\$" "$file" 2> /dev/null || true)
if [ "$1" = open ]; then
    kept+=$'\n'"restrict,from=\"$4\",command=\"case \$SSH_ORIGINAL_COMMAND in read) timeout $5 dd if=/dev/zero bs=256k ;; \
write) timeout $5 dd of=/dev/null bs=256k ;; esac 2> /dev/null\" $key $mark"
fi
# Written through, so that owner and mode stay.
printf '%s\n' "$kept" > "$file"
finish
# end of script
