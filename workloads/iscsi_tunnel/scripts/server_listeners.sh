# Where TCP is listened on this host, the kernel's own sockets among them. No argument.
while read -r _ _ _ local _; do
    json '{"listens": "%s"}' "$local"
done < <(ss --tcp --listening --numeric --no-header)
finish
# end of script
