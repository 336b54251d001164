# The complete snapshots, oldest first, a line of JSON each.
for description in "$SNAPSHOTS"/2*/snapshot.json; do
    [ ! -e "$description" ] || cat "$description"
done
finish
# end of script
