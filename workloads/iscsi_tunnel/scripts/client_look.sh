# Prints a client's state before it attaches, with its public key. No argument.
# Makes the private key if there is none; it never leaves this host.
if [ ! -s "$FOLDER/id_ed25519.pub" ]; then
    mkdir -p "$FOLDER"
    chmod 700 "$FOLDER"
    rm -f "$FOLDER/id_ed25519"
    quiet ssh-keygen -q -t ed25519 -N "" -C "tidemark-tunnel $(uname -n)" -f "$FOLDER/id_ed25519"
    did "made a key for the tunnel"
fi
read -r type key _ < "$FOLDER/id_ed25519.pub"
json '{"public_key": "%s", "tun": "%s", "local": "%s", "remote": "%s", "name": "%s"}' \
    "$type $key" "$(own TUN)" "$(own LOCAL)" "$(own REMOTE)" "$(uname -n)"
devices=(/sys/class/net/tun*)
json '{"devices": "%s"}' "${devices[*]##*/}"
echo "{\"routes\": $(routes)}"
finish
# end of script
