# What a host shows in sections, each under a line "@@ NAME" (workloads/logs.py).

# part NAME COMMAND...: its output; a tool that fails or is missing leaves what it said.
part() {
    echo "@@ $1"
    shift
    "$@" 2>&1 || true
}

# parts_of_any_host: what is asked of each, whatever its experiment.
parts_of_any_host() {
    part dmesg dmesg
    part failed-units systemctl --failed --no-legend --plain
}

