# Checks the file system before it is mounted. Argument: preen (corrects safe errors) or read (checks all, changes nothing).
case $1 in
    preen) arguments=(-p) ;;
    read) arguments=(-f -n) ;;
esac
# blkid makes a round trip through the tunnel for each type: other types are tried only when ext4 is not found.
code=0
kind=$(blkid --probe --match-types ext2,ext3,ext4 --output value --match-tag TYPE "$MAPPED") \
    || kind=$(blkid --probe --output value --match-tag TYPE "$MAPPED") || code=$?
# 2: nothing was found, or nothing could be read (blkid(8), "EXIT CODE").
if [ "$code" -ne 0 ] && { [ "$code" -ne 2 ] || ! quiet dd if="$MAPPED" of=/dev/null bs=1M count=1; }; then
    die "the contents of $MAPPED can't be determined (blkid: $code)" "see wipefs $MAPPED and dmesg on that host"
fi
case $kind in
    ext2 | ext3 | ext4) ;;
    '') die "there is no file system on $MAPPED" "run \`fab encrypted-backup.format\` again: it continues" ;;
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
