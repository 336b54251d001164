# The open volume on its client. Only root may read its folder: snapshots keep files that people have deleted since.
# shellcheck disable=SC2034  # the scripts use what is set here
NAME=tidemark-backup
MAPPED=/dev/mapper/$NAME
RUN=/run/tidemark-backup
MOUNT=$RUN/volume
SNAPSHOTS=$MOUNT/snapshots
TREES=$MOUNT/trees
LABEL=tidemark-backup
# The process id and start time of a run's process, so that a later run can end it.
UNDER_WAY=$RUN/under-way
# The process id of the newest run's keeper, and the output of one that released a volume; outside of RUN, which is made
# when the volume is mounted.
KEEPER=/run/tidemark-backup-keeper
KEEPER_LOG=$KEEPER.log

# load_ciphers: loads XTS for the volume and the AF_ALG interface for its header, unless they are built in.
load_ciphers() {
    modprobe --all --quiet dm_crypt xts af_alg algif_skcipher algif_hash || true
}

mounted() {
    local lines line where
    lines_of /proc/self/mounts
    for line in "${lines[@]}"; do
        read -r _ where _ <<< "$line"
        [ "$where" != "$MOUNT" ] || return 0
    done
    return 1
}

# still_mounted: ends the script when the volume was unmounted because its disk was away too long: the folder is then in
# memory.
still_mounted() {
    mounted || die "the disk under the backup volume has gone" "see whether the server and the tunnel are up, and run the task again"
}

# start_of PID: sets `start` to the process's start in ticks since boot (proc_pid_stat(5), starttime), or to nothing. A
# process id may be reused; with the start time it is unique.
start_of() {
    local fields
    start=
    { read -r fields < "/proc/$1/stat"; } 2> /dev/null || return 0
    read -ra fields <<< "${fields##*) }"
    start=${fields[19]:-}
}

# note_under_way PID
note_under_way() {
    start_of "$1"
    echo "$1 $start" > "$UNDER_WAY"
}

# end_what_is_under_way: ends the noted process, such as a copy whose task has gone.
end_what_is_under_way() {
    local pid began second start
    { read -r pid began < "$UNDER_WAY"; } 2> /dev/null || return 0
    rm -f "$UNDER_WAY"
    start_of "$pid"
    [ -n "$began" ] && [ "$began" = "$start" ] || return 0
    kill -TERM "$pid" 2> /dev/null || return 0
    for second in 1 2 3 4 5 6 7 8 9 10; do
        kill -0 "$pid" 2> /dev/null || break
        rest 0.5
    done
    # Its children, too: they may keep the volume in use.
    pkill -KILL --parent "$pid" 2> /dev/null || true
    kill -KILL "$pid" 2> /dev/null || true
    did "ended process $pid after $second looks, which a run had left"
}

# unmount: writes what is cached, and unmounts. When the disk has gone, the writes fail and it is unmounted all the same.
# Through a slow tunnel the writes of an ended process take some time.
unmount() {
    local attempt
    mounted || return 0
    for attempt in {1..60}; do
        if quiet umount "$MOUNT"; then
            did "unmounted $MOUNT at attempt $attempt"
            return 0
        fi
        rest 1
    done
    die "$MOUNT is in use" "see who uses it (fuser -vm $MOUNT), end that, and run the task again"
}

close_volume() {
    [ -e "$MAPPED" ] || return 0
    quiet cryptsetup close "$NAME" || die "$MAPPED can't be closed" "see who uses it (dmsetup info -c; lsof $MAPPED)"
    did "closed $MAPPED"
}

release() {
    end_what_is_under_way
    unmount
    close_volume
}

# The pattern of a snapshot's name, as in snapshots.py.
A_SNAPSHOT='[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]T[0-9][0-9][0-9][0-9][0-9][0-9]Z'

# newest_snapshot: sets `newest` to the folder of the last complete snapshot, or to nothing.
newest_snapshot() {
    local folder
    newest=
    for folder in "$SNAPSHOTS"/$A_SNAPSHOT; do
        [ ! -d "$folder" ] || newest=$folder
    done
}

# remove_unused_trees: removes the trees that no snapshot has; none if a link can't be read, since that may be to any.
remove_unused_trees() {
    local folder link failed=0
    local -A used=()
    for folder in "$SNAPSHOTS"/$A_SNAPSHOT "$SNAPSHOTS"/.partial-*; do
        if [ -L "$folder/tree" ]; then
            link=$(readlink "$folder/tree") || return 1
            used[${link##*/}]=yes
        elif [ -d "$folder" ] && [ ! -d "$folder/tree" ]; then
            case $folder in "$SNAPSHOTS"/.partial-*) ;; *) return 1 ;; esac
        fi
    done
    for folder in "$TREES"/$A_SNAPSHOT; do
        [ -n "${used[${folder##*/}]:-}" ] || [ ! -d "$folder" ] || rm -rf "$folder" || failed=1
    done
    return "$failed"
}

# failed_disk WHERE
failed_disk() {
    die "the disk under $1 gave errors" "see whether the server and the tunnel are up, and run the task again"
}

# flush PATH: writes what is cached of the file system of PATH to its disk.
flush() {
    quiet sync -f "$1" || failed_disk "the backup volume"
}

# says ERRORS_FILE WORDS: succeeds when a line of rsync's or cp's errors ends with that reason; before it there are file
# names, which may contain anything.
says() {
    grep -q -E ": $2( \([0-9]+\))?\$" "$1"
}

# failed_copy EXIT_CODE ERRORS_FILE WHERE: ends the script with the cause of rsync's or cp's failure.
failed_copy() {
    local last
    still_mounted
    if says "$2" 'No space left on device'; then
        die "$3 is full" "nothing of earlier snapshots is lost: free room there (prune), or give more, and run again"
    fi
    if says "$2" 'Read-only file system' || says "$2" 'Input/output error'; then
        failed_disk "$3"
    fi
    last=$(grep -v '^$' "$2" | tail -n 2 | head -n 1)
    die "the copy failed with exit code $1 (${last:0:200})" "correct that and run again; the copy continues"
}

# under_way COMMAND...: runs it as the noted process; returns its exit code.
under_way() {
    local code=0 pid
    "$@" &
    pid=$!
    note_under_way "$pid"
    wait "$pid" || code=$?
    rm -f "$UNDER_WAY"
    return "$code"
}

# rsync's options for a faithful copy, with the extended attributes that ext4 keeps (entries.py has the same).
FAITHFULLY=(--archive --hard-links --acls --xattrs --sparse --numeric-ids
    '--filter=+x user.*' '--filter=+x trusted.*' '--filter=+x security.*' '--filter=-x *')

# copy_with_progress WHERE ARGUMENT...: runs rsync with its progress on standard output. Files that can't be copied are no
# failure, because the copy is compared afterwards, entry by entry. A disk that can't be written is one.
copy_with_progress() {
    local where=$1 code=0
    shift
    under_way rsync "${FAITHFULLY[@]}" --no-inc-recursive --info=progress2,stats0,flist0 "$@" \
        > >(stdbuf -oL tr '\r' '\n') 2> "$RUN/errors" || code=$?
    # 24: source files vanished during the copy; 23: some could not be copied whole (rsync(1), "EXIT VALUES").
    case $code in
        0 | 24) return ;;
        23)
            if ! says "$RUN/errors" 'No space left on device' && ! says "$RUN/errors" 'Read-only file system'; then
                still_mounted
                return
            fi
            ;;
    esac
    failed_copy "$code" "$RUN/errors" "$where"
}
