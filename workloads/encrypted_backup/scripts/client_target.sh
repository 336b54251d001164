# Whether a snapshot can be restored there, before anything is started. Arguments: TARGET
# The folder must be absent or empty, or be what a restore that was cut short has left.
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
