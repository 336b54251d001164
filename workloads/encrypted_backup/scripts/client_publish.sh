# Makes a snapshot complete. Arguments: NAME DESCRIPTION; the description is one line of JSON.
name=$1
partial=$SNAPSHOTS/.partial-$name
still_mounted
rm -f "$partial/began"
# described DESCRIPTION: gives the snapshot its record. Further snapshots of the same state have the same tree: each has a
# symbolic link to it.
described() {
    printf '%s\n' "$1" > "$partial/snapshot.json" || return
    [ ! -L "$partial/tree" ] || return 0
    mkdir -p "$TREES" && mv -T "$partial/tree" "$TREES/$name" && ln -s "../../${TREES##*/}/$name" "$partial/tree"
}
described "$2" 2> "$RUN/errors" || failed_copy "$?" "$RUN/errors" "the backup volume"
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
