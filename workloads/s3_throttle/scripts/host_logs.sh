# Shows logs and states, each under a line "@@ NAME". No argument.
# part NAME COMMAND...: its output; a tool that fails or is missing leaves what it said.
part() {
    echo "@@ $1"
    shift
    "$@" 2>&1 || true
}
part dmesg dmesg
part sockets ss -tin
part netstat cat /proc/net/netstat /proc/net/snmp
part qdisc tc -s qdisc show
part df df --block-size=1
part failed-units systemctl --failed --no-legend --plain
echo "@@ end"
# end of script
