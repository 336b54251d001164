# Makes the file system in a volume. Argument: new, when it has just been formatted, or old: then what is there is left alone.
found=
[ "$1" = new ] || found=$(blkid --probe --output value --match-tag TYPE "$MAPPED") || true
if [ -z "$found" ]; then
    # No reserved blocks: only root writes there. Its tables are written later, when they are used: all at once they would be a gigabyte through the tunnel.
    quiet mkfs.ext4 -q -m 0 -L "$LABEL" -E lazy_itable_init=1,lazy_journal_init=1 "$MAPPED" \
        || die "no file system can be made on $MAPPED" "the cause is in the lines above"
    did "made an ext4 file system on $MAPPED"
fi
finish
# end of script
