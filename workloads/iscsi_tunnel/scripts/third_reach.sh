# Prints whether a port can be reached through a gateway, by a temporary route.
# Arguments: GATEWAY ADDRESS PORT
# That succeeds when the gateway answers on one interface for the address of another.
gateway=$1
address=$2
port=$3
# Without the route nothing would be tried, and "not reached" would prove nothing.
quiet ip route replace "$address/32" via "$gateway" \
    || die "no route to $address by $gateway can be made" "leave this host out, or give it an address in the server's network"
trap 'ip route delete "$address/32" via "$gateway" 2> /dev/null || true' EXIT
reached=false
if timeout 3 bash -c "exec 3<> /dev/tcp/$address/$port" 2> /dev/null; then
    reached=true
fi
json '{"reached": %s}' "$reached"
finish
# end of script
