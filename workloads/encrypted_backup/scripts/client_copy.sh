# Copies the sources into a new, still incomplete snapshot. Arguments: NAME yes|no yes|no COUNT SOURCE... PATTERN...;
# COUNT is the number of sources, and paths that match a pattern are left out. The first yes: stays within the sources' file
# systems; the second: reads files that have the time and size of their copy, instead of taking their ctime's word.
# A file that has not changed since an earlier snapshot is a hard link to it. The text of copy_plan.py is inserted below.
name=$1
one_file_system=$2
reads_files=$3
shift 3
IFS= read -r -d '' program << 'END_OF_PYTHON' || true
@PROGRAM@
END_OF_PYTHON
still_mounted
partial=$SNAPSHOTS/.partial-$name
# A link would lead to the tree of a complete snapshot, which is never written to.
[ ! -L "$partial/tree" ] || rm "$partial/tree"
{ mkdir -p "$partial/tree" && touch "$partial/began"; } 2> "$RUN/errors" \
    || failed_copy "$?" "$RUN/errors" "the backup volume"
newest_snapshot
# When the disk has gone, that is reported, and not the errors that follow from it.
under_way python3 -I -c "$program" plan "$RUN" "$@" "$one_file_system" "$reads_files" "$partial" "$newest" 2> "$RUN/errors" || {
    code=$?
    still_mounted
    cat "$RUN/errors" >&2
    exit "$code"
}
mapfile -d '' -t sources < "$RUN/sources"
mapfile -d '' -t rules < "$RUN/rules"
options=(--relative --delete "${rules[@]/#/--filter=}")
[ "$one_file_system" = no ] || options+=(--one-file-system)

# unchanged: succeeds when the newest snapshot has the same sources in their current state; stops at the first change.
# The folders above the sources are left out: the time of /home or /tmp is irrelevant.
unchanged() {
    local said
    [ ! -s "$RUN/anew" ] || return 1
    cmp --silent "$partial/selection" "$newest/selection" || return 1
    said=$(under_way rsync --dry-run --out-format=%i --no-implied-dirs "${FAITHFULLY[@]}" "${options[@]}" -- \
        "${sources[@]}" "$newest/tree/" 2>&1 | head --bytes=1) && [ -z "$said" ]
}

# above_the_sources: gives the folders above the sources their current owners, modes and times. Not the sources themselves:
# a file is a hard link by now, and a change would change the earlier snapshot.
above_the_sources() {
    local source above=()
    for source in "${sources[@]}"; do
        [ -z "${source%/*}" ] || above+=("${source%/*}")
    done
    [ "${#above[@]}" -eq 0 ] \
        || under_way rsync "${FAITHFULLY[@]}" --no-recursive --dirs --relative -- "${above[@]}" "$partial/tree/"
}

count=0
vanished=0
linked=false
same=false
state=
[ ! -s "$RUN/same" ] || same=true
IFS= read -r -d '' state < "$RUN/same" || true
if [ "$state" = tree ] && [ -L "$newest/tree" ]; then
    # Nothing has changed: the new snapshot has the tree of the newest one.
    rmdir "$partial/tree"
    cp --no-dereference "$newest/tree" "$partial/tree" 2> "$RUN/errors" || failed_copy "$?" "$RUN/errors" "the backup volume"
    linked=true
elif [ "$same" = true ] || { [ -n "$newest" ] && unchanged; }; then
    # Only links: cp makes them several times as fast as rsync, which compares each file again.
    { under_way cp --archive --link "$newest/tree/." "$partial/tree" && above_the_sources; } 2> "$RUN/errors" \
        || failed_copy "$?" "$RUN/errors" "the backup volume"
    linked=true
else
    [ -z "$newest" ] || options+=("--link-dest=$newest/tree")
    # Copies of an interrupted run are linked, never written to: they may be links to a complete snapshot, whose modes and
    # owners a write would change. rsync takes up to twenty such folders.
    for earlier in "$SNAPSHOTS"/.partial-*; do
        if [ "$earlier" != "$partial" ] && [ "$count" -lt 18 ]; then
            options+=("--link-dest=$earlier/tree")
            count=$((count + 1))
        fi
    done
    # Unreadable files are reported when the copy is read back; the rest is kept.
    copy_with_progress "the backup volume" "${options[@]}" -- "${sources[@]}" "$partial/tree/"
    vanished=$(grep -c '^file has vanished: ' "$RUN/errors") || true
    # Then files that must not be links to an earlier snapshot: rsync writes a new file and renames it.
    [ ! -s "$RUN/anew" ] || copy_with_progress "the backup volume" \
        --relative --ignore-times "--files-from=$RUN/anew" --from0 -- / "$partial/tree/"
fi
flush "$partial"
still_mounted
json '{"gone_on_from": %s, "vanished": %s, "linked": %s, "same": %s}' "$count" "$vanished" "$linked" "$same"
did "copied"
finish
# end of script
