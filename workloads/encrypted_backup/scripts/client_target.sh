# Checks that a snapshot can be restored to a folder: it must be absent, empty, or an interrupted restore's. Argument: TARGET
target=$1
[[ $target == /* ]] || die "--target $target is no path from the root" "give one that begins with /: it is a directory of the client"
MARKER=.tidemark-restore
[ ! -e "$target" ] || [ -d "$target" ] || die "$target is no directory" "give --target a directory that is empty or absent"
if [ -d "$target" ] && [ ! -e "$target/$MARKER" ] && [ -n "$(ls -A -- "$target")" ]; then
    die "$target is not empty" "give --target a directory that is empty or absent: nothing is written over"
fi
case $(readlink -m -- "$target")/ in
    "$RUN"/*) die "$target is in the backup volume itself" "give another directory" ;;
esac
finish
# end of script
