# Prints df's figures of the file system, and the total size of our files. Arguments: MOUNT_POINT FOLDER
read -r total used < <(df --block-size=1 --output=size,used "$1" | tail -n 1)
files=0
while read -r size; do
    files=$((files + size))
done < <(find "$2" -type f -printf '%s\n')
json '{"df_total_bytes": %s, "df_used_bytes": %s, "files_bytes": %s}' "$total" "$used" "$files"
finish
# end of script
