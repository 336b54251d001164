# Locks this host, and so the volume, for one run until that ends. Arguments: LEASE_TIMEOUT_SECONDS WHO
# Each line on standard input is a heartbeat; `done` ends the lock. The error of a second run names WHO.
lease_timeout=$1
who=$2
CLAIM=/run/tidemark-backup.claim
exec 9>> "$CLAIM"
# A run that was killed a moment ago may still hold the lock.
if ! flock --timeout 5 9; then
    read -r other < "$CLAIM" || true
    die "another backup is under way: ${other:-a run without a name}" "wait for its end and run the task again"
fi
printf '%s\n' "$who" > "$CLAIM"
echo '{"claimed": true}'
while IFS= read -r -t "$lease_timeout" line; do
    [ "$line" != "done" ] || break
done
: > "$CLAIM"
# end of script
