# Makes the file system in a volume. Argument: new (just formatted) or old (an existing file system is kept).
found=
if [ "$1" != new ]; then
    # 2: nothing was found, or nothing could be read (blkid(8), "EXIT CODE"); only the former means no file system.
    code=0
    found=$(blkid --probe --output value --match-tag TYPE "$MAPPED") || code=$?
    [ "$code" -ne 2 ] || quiet dd if="$MAPPED" of=/dev/null bs=1M count=1 || code=1
    [ "$code" -eq 0 ] || [ "$code" -eq 2 ] \
        || die "the contents of $MAPPED can't be determined (blkid: $code)" "see wipefs $MAPPED and dmesg on that host; nothing was changed"
fi
if [ -z "$found" ]; then
    # No reserved blocks: only root writes there. Tables are written when they are used: at once they would send a gigabyte
    # through the tunnel.
    quiet mkfs.ext4 -q -m 0 -L "$LABEL" -E lazy_itable_init=1,lazy_journal_init=1 "$MAPPED" \
        || die "no file system can be made on $MAPPED" "the cause is in the lines above"
    did "made an ext4 file system on $MAPPED"
fi
finish
# end of script
