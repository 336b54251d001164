# Ends the listener of storage_listen.sh.
systemctl stop tidemark-listener.service 2> /dev/null || true
finish
# end of script
