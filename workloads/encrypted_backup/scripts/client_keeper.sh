# Stays as long as the run lives: releases the volume when no sign of life has come for a while, or the connection has gone.
# Argument: PATIENCE_SECONDS. A line on standard input is a sign of life; `done` is the end in order.
patience=$1
@DETACH@
trap '' HUP PIPE
echo "$$" > "$KEEPER"
echo '{"keeping": true}'
while IFS= read -r -t "$patience" line; do
    [ "$line" != "done" ] || exit 0
done
# Nobody reads what is said any more, and a write that fails would end this script before it has undone anything.
exec > "$KEEPER_LOG" 2>&1
# What is half done (opening takes seconds) ends first: it could not be undone yet.
exec 8>> /run/tidemark.lock
flock --timeout 90 8 || true
# The next run has begun meanwhile: it has undone what there was, and what is there now is its own.
read -r keeper < "$KEEPER"
[ "$keeper" = "$$" ] || exit 0
release
detach
finish
# end of script
