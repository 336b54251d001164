# Makes a snapshot complete. Arguments: NAME DESCRIPTION; the description is one line of JSON.
name=$1
partial=$SNAPSHOTS/.partial-$name
rm -f "$partial/began"
printf '%s\n' "$2" > "$partial/snapshot.json"
sync -f "$partial"
mv "$partial" "$SNAPSHOTS/$name"
sync -f "$SNAPSHOTS"
did "snapshot $name is complete"
for earlier in "$SNAPSHOTS"/.partial-*; do
    [ ! -e "$earlier" ] || rm -rf "$earlier"
done
finish
# end of script
