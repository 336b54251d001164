# Prints which ports can be reached from here. Arguments: NAME=ADDRESS:PORT...
# probe NAME ADDRESS PORT
probe() {
    local reached=false
    if timeout 2 bash -c "exec 3<> /dev/tcp/$2/$3" 2> /dev/null; then
        reached=true
    fi
    json '{"to": "%s", "port": %s, "reached": %s}' "$1" "$3" "$reached"
}

# All at once: a closed port takes the whole timeout.
for pair in "$@"; do
    place=${pair#*=}
    probe "${pair%%=*}" "${place%:*}" "${place##*:}" &
done
wait
finish
# end of script
