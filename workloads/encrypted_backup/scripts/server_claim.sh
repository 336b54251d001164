# Holds the volume for one run, for as long as that lives. Arguments: PATIENCE_SECONDS WHO
# A line on standard input is a sign of life; `done` is the end in order. Whoever else claims it is told WHO.
patience=$1
who=$2
CLAIM=/run/tidemark-backup.claim
exec 9>> "$CLAIM"
# One that was killed a moment ago is still letting go.
if ! flock --timeout 5 9; then
    read -r other < "$CLAIM" || true
    die "another backup is under way: ${other:-it says no name}" "wait for its end and run the task again"
fi
printf '%s\n' "$who" > "$CLAIM"
echo '{"claimed": true}'
while IFS= read -r -t "$patience" line; do
    [ "$line" != "done" ] || break
done
: > "$CLAIM"
# end of script
