# Makes a LUKS2 volume of a device that was checked before. Arguments: DEVICE [CRYPTSETUP_OPTION...]. The passphrase is on
# standard input, which cryptsetup reads itself.
device=$1
shift
load_ciphers
cryptsetup luksFormat --batch-mode --type luks2 --pbkdf argon2id --sector-size 4096 --label "$LABEL" "$@" \
    --key-file=- "$device" || die "$device can't be formatted" "the cause is in the lines above"
did "made a LUKS2 volume of $device"
finish
# end of script
