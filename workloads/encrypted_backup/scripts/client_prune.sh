# Removes snapshots. Arguments: NAME... Each is renamed first, so that a half removed one is no snapshot. After an error
# the others are removed all the same.
failed=()
for name in "$@"; do
    [ -d "$SNAPSHOTS/$name" ] || continue
    if mv "$SNAPSHOTS/$name" "$SNAPSHOTS/.pruned-$name" && rm -rf "$SNAPSHOTS/.pruned-$name"; then
        did "removed $name"
    else
        failed+=("$name")
    fi
done
remove_unused_trees || failed+=("trees without a snapshot")
flush "$SNAPSHOTS"
[ "${#failed[@]}" -eq 0 ] || die "${failed[*]} can't be removed" "the cause is in the lines above; see the disk's health, and run again"
read -r free < <(df --output=avail -B1 "$MOUNT" | tail -n 1)
json '{"free_bytes": %s}' "$free"
finish
# end of script
