# Runs commands of the recovery sheet as root on the server. Standard input: the lines that they read, then `commands`,
# then the commands.
typed=
while IFS= read -r line && [ "$line" != commands ]; do
    typed+=$line$'\n'
done
commands=$(cat)
bash -euo pipefail -c "$commands" <<< "$typed" >&2 || die "a command of the sheet failed on the server" "correct the sheet"
did "ran the sheet's commands"
finish
# end of script
