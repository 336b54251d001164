# Types the recovery sheet's commands on a blank machine, as a person would. Argument: ENDING, the commands that detach
# everything. Standard input: the password, the passphrase and the server's address, a line each, then the commands.
#
# ssh asks for its password on the terminal, or by a program when there is none (ssh(1), SSH_ASKPASS); the rest reads its
# standard input, as it does from a keyboard.
DESK=/run/tidemark-drill
# Debian mounts /run with noexec (initramfs-tools): no program runs from there.
ASK=$STATE/ask-password
# Says that /restored is an earlier drill's. It is compared with the source, which may have lost files since.
OURS=$STATE/drill-restored
if [ -e "$OURS" ]; then
    rm -rf --one-file-system /restored
elif [ -d /restored ] && [ -n "$(ls -A /restored)" ]; then
    die "/restored holds what no drill has put there" "move it away: a drill compares that folder with what was backed up"
fi
mkdir -p "$STATE"
touch "$OURS"
rm -rf "$DESK"
mkdir -m 0700 "$DESK"
trap 'rm -rf "$DESK" "$ASK"' EXIT
umask 077
IFS= read -r password
IFS= read -r passphrase
IFS= read -r address
cat > "$DESK/commands"
printf '%s\n' "$password" > "$DESK/password"
printf '#!/bin/sh\ncat %s/password\n' "$DESK" > "$ASK"
chmod 700 "$ASK"
printf '%s\n' "$address" "$passphrase" > "$DESK/typed"
password='' passphrase=''
began=$(date +%s.%N)
code=0
SSH_ASKPASS=$ASK SSH_ASKPASS_REQUIRE=force bash -euo pipefail "$DESK/commands" < "$DESK/typed" > "$DESK/said" 2>&1 || code=$?
cat "$DESK/said" >&2
if [ "$code" -ne 0 ]; then
    said=$(tail -n 1 "$DESK/said")
    # An interrupted recovery keeps the tunnel, and so keeps every backup out. Some of it may not exist: errors are ignored.
    bash -uo pipefail -c "$1" < /dev/null >&2 || true
    die "a command of the sheet failed with exit code $code ($said)" "correct the sheet, or what it names"
fi
read -r files < <(find /restored -type f -printf x | wc -c)
json '{"seconds": %s, "files": %s}' "$(date +%s.%N | awk -v began="$began" '{print $1 - began}')" "$files"
finish
# end of script
