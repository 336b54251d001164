# Makes the file system in a volume. Argument: new, when it has just been formatted, or old: then what is there is left alone.
found=
if [ "$1" != new ]; then
    # 2: nothing is found, or nothing could be read (blkid(8), "EXIT CODE"); only the former is no file system.
    code=0
    found=$(blkid --probe --output value --match-tag TYPE "$MAPPED") || code=$?
    [ "$code" -ne 2 ] || quiet dd if="$MAPPED" of=/dev/null bs=1M count=1 || code=1
    [ "$code" -eq 0 ] || [ "$code" -eq 2 ] \
        || die "what is on $MAPPED can't be told (blkid: $code)" "see wipefs $MAPPED and dmesg on that host; nothing was changed"
fi
if [ -z "$found" ]; then
    # No reserved blocks: only root writes there. Its tables are written later, when they are used: all at once they would be a gigabyte through the tunnel.
    quiet mkfs.ext4 -q -m 0 -L "$LABEL" -E lazy_itable_init=1,lazy_journal_init=1 "$MAPPED" \
        || die "no file system can be made on $MAPPED" "the cause is in the lines above"
    did "made an ext4 file system on $MAPPED"
fi
finish
# end of script
