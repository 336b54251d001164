# Opens the volume. Arguments: DEVICE luks|truecrypt|veracrypt. The passphrase is on standard input, which cryptsetup reads
# itself.
device=$1
kind=$2
WRONG_PASSPHRASE=2 # cryptsetup(8), "RETURN CODES"
if [ -e "$MAPPED" ]; then
    die "$NAME is open already" "another run is at work, or left it: run \`fab encrypted-backup.release\`"
fi
load_ciphers
case $kind in
    luks) arguments=(--type luks2 --key-file=-) ;;
    truecrypt) arguments=(--type tcrypt --disable-veracrypt) ;;
    veracrypt) arguments=(--type tcrypt) ;;
esac
code=0
cryptsetup open "${arguments[@]}" "$device" "$NAME" || code=$?
case $code in
    0) ;;
    "$WRONG_PASSPHRASE") die "the passphrase does not open $device" "give the right one; nothing was changed" ;;
    *)
        if [ "$kind" = luks ] && ! cryptsetup isLuks --type luks2 "$device"; then
            die "there is no LUKS2 volume on $device" "run \`fab encrypted-backup.format\` if it is to hold one"
        fi
        die "$device can't be opened ($code)" "the cause is in the lines above"
        ;;
esac
did "opened $device as $MAPPED"
finish
# end of script
