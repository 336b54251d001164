# Makes a snapshot complete. Arguments: NAME DESCRIPTION; the description is one line of JSON.
name=$1
partial=$SNAPSHOTS/.partial-$name
still_mounted
rm -f "$partial/began"
printf '%s\n' "$2" > "$partial/snapshot.json"
# Further snapshots of the same state have the same tree: each has a symbolic link to it.
if [ ! -L "$partial/tree" ]; then
    mkdir -p "$TREES"
    mv -T "$partial/tree" "$TREES/$name"
    ln -s "../../${TREES##*/}/$name" "$partial/tree"
fi
flush "$partial"
mv "$partial" "$SNAPSHOTS/$name"
flush "$SNAPSHOTS"
still_mounted
did "snapshot $name is complete"
for earlier in "$SNAPSHOTS"/.partial-*; do
    [ ! -e "$earlier" ] || rm -rf "$earlier" || echo "$earlier can't be removed: see the disk's health" >&2
done
remove_unused_trees || echo "trees without a snapshot can't be removed: see the disk's health" >&2
finish
# end of script
