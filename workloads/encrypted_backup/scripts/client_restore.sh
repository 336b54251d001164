# Copies a snapshot to a folder. Arguments: NAME TARGET. Continues an interrupted restore of the same snapshot.
name=$1
target=$2
MARKER=.tidemark-restore
mkdir -p "$target"
if [ -e "$target/$MARKER" ]; then
    read -r begun < "$target/$MARKER" || true
    [ "$begun" = "$name" ] || die "$target holds the beginning of $begun" "restore that one, or give another --target"
fi
echo "$name" > "$target/$MARKER"
copy_with_progress "$target" --delete "--exclude=/$MARKER" -- "$SNAPSHOTS/$name/tree/" "$target/"
did "restored $name to $target"
finish
# end of script
