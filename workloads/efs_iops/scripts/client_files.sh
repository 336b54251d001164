# Makes the files that the workers read and write; keeps existing ones of the right size.
# Arguments: MOUNT_POINT FOLDER COUNT BYTES SPAN_COUNT SPAN_BYTES
# COUNT files of BYTES for operations at offset 0, and SPAN_COUNT of SPAN_BYTES for sequential ones, of random bytes.
point=$1
shift
folder=$1
mkdir -p "$folder" || die "no folder can be made on the file system" "see whether it is mounted and writable (df, mount)"
# A link, or another mount below, would lead to a file system that is not to be measured.
mapfile -t devices < <(stat --format=%d "$point" "$folder/.")
[ "${devices[0]}" = "${devices[1]:-}" ] \
    || die "$folder is not on the file system at $point" "see what is linked or mounted there (findmnt --target $folder) and take it away"
declare -A size=()
while IFS=$'\t' read -r name seen; do
    size[$name]=$seen
done < <(find "$folder" -maxdepth 1 -type f -printf '%f\t%s\n')

# ensure PREFIX COUNT BYTES: makes PREFIX-0001 and so on. One stream is split into all files: a process for each is slow.
ensure() {
    local number name
    for ((number = 1; number <= $2; number++)); do
        printf -v name '%s-%04d' "$1" "$number"
        if [ "${size[$name]:-}" != "$3" ]; then
            head -c "$(($2 * $3))" /dev/urandom \
                | quiet_in split --bytes="$3" --numeric-suffixes=1 --suffix-length=4 - "$folder/$1-" \
                || { rm -f -- "$folder/$1-"*
                    die "$2 files of $3 bytes cannot be written to $folder" "see that the file system has room (df)"; }
            did "made $2 files $1 of $3 bytes"
            return 0
        fi
    done
}

# quiet_in COMMAND...: as quiet, and leaves standard input open.
quiet_in() {
    local output
    output=$("$@" 2>&1) || { echo "$output" >&2; return 1; }
}

ensure fixed "$2" "$3"
ensure along "$4" "$5"
finish
# end of script
