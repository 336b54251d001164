# Copies the sources into a new snapshot that is not complete yet. Arguments: NAME yes|no COUNT SOURCE... PATTERN..., so many
# sources; what a pattern matches is left out. The text of copy_plan.py stands here when this is sent.
# yes: stays within the file systems of the sources. A file that is as it was in an earlier snapshot is a hard link of it.
name=$1
one_file_system=$2
shift 2
IFS= read -r -d '' program << 'END_OF_PYTHON' || true
@PROGRAM@
END_OF_PYTHON
still_mounted
partial=$SNAPSHOTS/.partial-$name
mkdir -p "$partial/tree"
touch "$partial/began"
newest_snapshot
# Where the disk has gone, that is the cause, and not what could not be written without it.
under_way python3 -c "$program" plan "$RUN" "$@" "$one_file_system" "$partial" "$newest" 2> "$RUN/errors" || {
    code=$?
    still_mounted
    cat "$RUN/errors" >&2
    exit "$code"
}
mapfile -d '' -t sources < "$RUN/sources"
mapfile -d '' -t rules < "$RUN/rules"
options=(--relative --delete "${rules[@]/#/--filter=}")
[ "$one_file_system" = no ] || options+=(--one-file-system)

# unchanged: whether the newest snapshot has the same sources just as they are now; the look ends at the first change.
# The folders above them are left out: the time of /home or /tmp says nothing about what is copied.
unchanged() {
    local said
    [ ! -s "$RUN/anew" ] || return 1
    cmp --silent "$partial/selection" "$newest/selection" || return 1
    said=$(under_way rsync --dry-run --out-format=%i --no-implied-dirs "${FAITHFULLY[@]}" "${options[@]}" -- \
        "${sources[@]}" "$newest/tree/" 2>&1 | head --bytes=1) && [ -z "$said" ]
}

# above_the_sources: gives the folders above the sources the owners, modes and times that they have now. Not the sources
# themselves: one that is a file is a link now, and what is changed in it is changed in the earlier snapshot.
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
if [ -n "$newest" ] && unchanged; then
    # Links alone, which cp makes several times as fast as rsync, who compares each file once more.
    { under_way cp --archive --link "$newest/tree/." "$partial/tree" && above_the_sources; } 2> "$RUN/errors" \
        || failed_copy "$?" "$RUN/errors" "the backup volume"
    linked=true
else
    [ -z "$newest" ] || options+=("--link-dest=$newest/tree")
    # What a run that was cut short has copied is taken from there, never written into: its files may be those of a
    # complete snapshot, whose modes and owners a copy into them would change. rsync takes up to twenty such folders.
    for earlier in "$SNAPSHOTS"/.partial-*; do
        if [ "$earlier" != "$partial" ] && [ "$count" -lt 18 ]; then
            options+=("--link-dest=$earlier/tree")
            count=$((count + 1))
        fi
    done
    # What can't be read is named when the copy is read back, and the rest is kept.
    copy_with_progress "the backup volume" "${options[@]}" -- "${sources[@]}" "$partial/tree/"
    vanished=$(grep -c '^file has vanished: ' "$RUN/errors") || true
    # Then what must not be a link of an earlier snapshot. rsync writes a file beside it, which takes its place.
    [ ! -s "$RUN/anew" ] || copy_with_progress "the backup volume" \
        --relative --ignore-times "--files-from=$RUN/anew" --from0 -- / "$partial/tree/"
fi
flush "$partial"
still_mounted
json '{"gone_on_from": %s, "vanished": %s, "linked": %s}' "$count" "$vanished" "$linked"
did "copied"
finish
# end of script
