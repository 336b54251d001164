# Checks the file system before it is mounted. Argument: preen (mends what can be mended safely) or read (all of it, changing
# nothing).
case $1 in
    preen) arguments=(-p) ;;
    read) arguments=(-f -n) ;;
esac
# Each of the places where blkid looks is a round trip through the tunnel: the others only where ext4 is not.
code=0
kind=$(blkid --probe --match-types ext2,ext3,ext4 --output value --match-tag TYPE "$MAPPED") \
    || kind=$(blkid --probe --output value --match-tag TYPE "$MAPPED") || code=$?
# 2: nothing is found, or nothing could be read (blkid(8), "EXIT CODE").
if [ "$code" -ne 0 ] && { [ "$code" -ne 2 ] || ! quiet dd if="$MAPPED" of=/dev/null bs=1M count=1; }; then
    die "what is on $MAPPED can't be told (blkid: $code)" "see wipefs $MAPPED and dmesg on that host"
fi
case $kind in
    ext2 | ext3 | ext4) ;;
    '') die "there is no file system on $MAPPED" "run \`fab encrypted-backup.format\` again: it goes on where it was" ;;
    *) die "the file system on $MAPPED is $kind" "snapshots need ext4: hard links, ACLs, extended attributes" ;;
esac
code=0
words=$(e2fsck "${arguments[@]}" "$MAPPED" 2>&1 < /dev/null) || code=$?
echo "$words" >&2
# 1: errors were corrected (e2fsck(8), "EXIT CODE").
case $code in
    0) ;;
    1) did "corrected the file system" ;;
    *) die "the file system on $MAPPED has errors (e2fsck: $code)" "see e2fsck -f $MAPPED by hand; restore before you mend" ;;
esac
finish
# end of script
