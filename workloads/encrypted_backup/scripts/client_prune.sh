# Removes snapshots. Arguments: NAME...; one that is half removed is no snapshot any more.
for name in "$@"; do
    [ -d "$SNAPSHOTS/$name" ] || continue
    mv "$SNAPSHOTS/$name" "$SNAPSHOTS/.pruned-$name"
    rm -rf "$SNAPSHOTS/.pruned-$name"
    did "removed $name"
done
flush "$SNAPSHOTS"
read -r free < <(df --output=avail -B1 "$MOUNT" | tail -n 1)
json '{"free_bytes": %s}' "$free"
finish
# end of script
