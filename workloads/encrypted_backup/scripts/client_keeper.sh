# Releases the volume when the run ends in any way but in order: no heartbeat for LEASE_TIMEOUT_SECONDS, the argument, or
# a broken connection. Each line on standard input is a heartbeat; `done` ends this script.
lease_timeout=$1
@DETACH@
trap '' HUP PIPE
echo "$$" > "$KEEPER"
echo '{"keeping": true}'
while IFS= read -r -t "$lease_timeout" line; do
    [ "$line" != "done" ] || exit 0
done
# The output has no reader any more: a write to it would fail, and end this script before it has released anything.
exec > "$KEEPER_LOG" 2>&1
# Waits for a script that still runs (opening takes seconds): what it makes can't be undone before.
exec 8>> /run/tidemark.lock
flock --timeout 90 8 || true
# Another keeper: the next run has begun, and released the old one's volume; what is open now is its own.
read -r keeper < "$KEEPER"
[ "$keeper" = "$$" ] || exit 0
release
detach
finish
# end of script
