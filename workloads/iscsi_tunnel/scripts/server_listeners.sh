# Where TCP is listened on this host, the kernel's own sockets among them. No argument.
while read -r _ _ _ local _; do
    printf '{"listens": "%s"}\n' "$local"
done < <(ss --tcp --listening --numeric --no-header)
finish
# end of script
