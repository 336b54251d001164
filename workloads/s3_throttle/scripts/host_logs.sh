# Prints logs and states in sections, each after a line "@@ NAME". Argument: ROLE, always the same
parts_of_any_host
part sockets ss -tin
part netstat cat /proc/net/netstat /proc/net/snmp
part qdisc tc -s qdisc show
part df df --block-size=1
echo "@@ end"
# end of script
