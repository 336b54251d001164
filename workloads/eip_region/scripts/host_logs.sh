# Shows logs and states, each under a line "@@ NAME". No argument.
# part NAME COMMAND...: its output; a tool that fails or is missing leaves what it said.
part() {
    echo "@@ $1"
    shift
    "$@" 2>&1 || true
}
part dmesg dmesg
part addresses ip -statistics address
part sockets ss --tcp --numeric --all
part ssh journalctl --unit ssh --no-pager --lines 400
part failed-units systemctl --failed --no-legend --plain
echo "@@ end"
# end of script
