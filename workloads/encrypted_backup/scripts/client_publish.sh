# Makes a snapshot complete. Arguments: NAME DESCRIPTION; the description is one line of JSON.
name=$1
partial=$SNAPSHOTS/.partial-$name
still_mounted
rm -f "$partial/began"
printf '%s\n' "$2" > "$partial/snapshot.json"
quiet sync -f "$partial" || failed_disk "the backup volume"
mv "$partial" "$SNAPSHOTS/$name"
quiet sync -f "$SNAPSHOTS" || failed_disk "the backup volume"
still_mounted
did "snapshot $name is complete"
for earlier in "$SNAPSHOTS"/.partial-*; do
    [ ! -e "$earlier" ] || rm -rf "$earlier"
done
finish
# end of script
