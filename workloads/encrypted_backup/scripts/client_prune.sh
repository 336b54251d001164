# Removes snapshots. Arguments: NAME...; one that is half removed is no snapshot any more. One that can't be removed keeps no
# other from it.
failed=()
for name in "$@"; do
    [ -d "$SNAPSHOTS/$name" ] || continue
    if mv "$SNAPSHOTS/$name" "$SNAPSHOTS/.pruned-$name" && rm -rf "$SNAPSHOTS/.pruned-$name"; then
        did "removed $name"
    else
        failed+=("$name")
    fi
done
flush "$SNAPSHOTS"
[ "${#failed[@]}" -eq 0 ] || die "${failed[*]} can't be removed" "the cause is in the lines above; see the disk's health, and run again"
read -r free < <(df --output=avail -B1 "$MOUNT" | tail -n 1)
json '{"free_bytes": %s}' "$free"
finish
# end of script
