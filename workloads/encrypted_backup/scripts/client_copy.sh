# Copies the sources into a new snapshot that is not complete yet. Arguments: NAME yes|no SOURCE...
# yes: stays within the file systems of the sources. A file that is as it was in an earlier snapshot is a hard link of it.
name=$1
one_file_system=$2
shift 2
still_mounted
partial=$SNAPSHOTS/.partial-$name
mkdir -p "$partial/tree"
touch "$partial/began"
options=(--relative --delete "--exclude=$RUN/")
[ "$one_file_system" = no ] || options+=(--one-file-system)
newest_snapshot
if [ -n "$newest" ]; then
    options+=("--link-dest=$newest/tree")
fi
# What a run that was cut short has copied is taken from there, never written into: its files may be those of a complete
# snapshot, whose modes and owners a copy into them would change. rsync takes up to twenty such folders.
count=0
for earlier in "$SNAPSHOTS"/.partial-*; do
    if [ "$earlier" != "$partial" ] && [ "$count" -lt 18 ]; then
        options+=("--link-dest=$earlier/tree")
        count=$((count + 1))
    fi
done
sources=()
for source in "$@"; do
    sources+=("$(readlink -f -- "$source")")
done
copy_with_progress "the backup volume" "${options[@]}" -- "${sources[@]}" "$partial/tree/"
vanished=$(grep -c 'file has vanished' "$RUN/errors") || true
flush "$partial"
still_mounted
printf '{"gone_on_from": %s, "vanished": %s}\n' "$count" "$vanished"
did "copied"
finish
# end of script
