# Makes a LUKS2 volume of a device that was looked at. Arguments: DEVICE [CRYPTSETUP_OPTION...]; the passphrase follows on
# standard input, and goes from there to cryptsetup without passing the shell.
device=$1
shift
load_ciphers
cryptsetup luksFormat --batch-mode --type luks2 --pbkdf argon2id --sector-size 4096 --label "$LABEL" "$@" \
    --key-file=- "$device" || die "$device can't be formatted" "the cause is in the lines above"
did "made a LUKS2 volume of $device"
finish
# end of script
