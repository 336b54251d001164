# What `df` says of the file system, and the sizes of our files added up. Arguments: MOUNT_POINT FOLDER
read -r total used < <(df --block-size=1 --output=size,used "$1" | tail -n 1)
files=0
while read -r size; do
    files=$((files + size))
done < <(find "$2" -type f -printf '%s\n')
json '{"df_total_bytes": %s, "df_used_bytes": %s, "files_bytes": %s}' "$total" "$used" "$files"
finish
# end of script
