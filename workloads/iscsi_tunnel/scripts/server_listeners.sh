# Prints this host's listening TCP sockets, with the kernel's own. No argument.
while read -r _ _ _ local _; do
    json '{"listens": "%s"}' "$local"
done < <(ss --tcp --listening --numeric --no-header)
finish
# end of script
