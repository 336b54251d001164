# Mounts the volume, and removes the rest of an interrupted prune.
mounted && die "$MOUNT is mounted already" "another run is at work, or left it: run \`fab encrypted-backup.release\`"
# shellcheck disable=SC2174  # /run is there
mkdir -p -m 0700 "$RUN"
mkdir -p "$MOUNT"
quiet mount -t ext4 -o nodev,nosuid,noexec,noatime "$MAPPED" "$MOUNT" || die "$MAPPED can't be mounted" "the cause is in the lines above"
mkdir -p "$SNAPSHOTS"
for gone in "$SNAPSHOTS"/.pruned-*; do
    # Not an error: the snapshots can be used all the same.
    [ ! -e "$gone" ] || rm -rf "$gone" || echo "$gone can't be removed: see the disk's health" >&2
done
read -r size free < <(df --output=size,avail -B1 "$MOUNT" | tail -n 1) || true
[[ "$size $free" =~ ^[0-9]+\ [0-9]+$ ]] || failed_disk "the backup volume"
did "mounted $MAPPED at $MOUNT"
json '{"size_bytes": %s, "free_bytes": %s}' "$size" "$free"
finish
# end of script
