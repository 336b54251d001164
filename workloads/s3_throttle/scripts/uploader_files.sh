# Makes a pool of COUNT files to sync, of random bytes; keeps existing ones. Arguments: FOLDER COUNT BYTES
# Prints the SHA-256 of the first COUNT.
folder=$1
count=$2
bytes=$3
mkdir -p "$folder"
# A file of another size is of another plan, or incomplete: then all are made anew.
if [ -n "$(find "$folder" -type f ! -size "${bytes}c" -print -quit)" ]; then
    rm -rf "$folder"
    mkdir -p "$folder"
fi
found=$(find "$folder" -type f -printf x)
missing=$((count - ${#found}))
no_room="$count files of $bytes bytes cannot be written to $folder|see that the disk has room (df), or plan for less"
if [ "$missing" -gt 0 ]; then
    { read -r _; read -r free; } < <(df --output=avail --block-size=1 "$folder")
    [ "$free" -gt "$((missing * bytes))" ] || die "${no_room%|*}: $free bytes are free" "${no_room#*|}"
    head -c "$((missing * bytes))" /dev/urandom \
        | split --bytes="$bytes" --numeric-suffixes="$((${#found} + 1))" --suffix-length=6 - "$folder/object-" 2> /dev/null \
        || { rm -rf "$folder"
            die "${no_room%|*}" "${no_room#*|}"; }
    did "made $missing files of $bytes bytes"
fi
files=("$folder"/object-*)
sha256sum "${files[@]:0:count}" | while read -r sum path; do
    json '{"object": "%s", "sha256": "%s"}' "${path##*/}" "$sum"
done
finish
# end of script
