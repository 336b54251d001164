# Prints output in sections, each after a line "@@ NAME" (sections() in workloads/connectors/script.py).

# part NAME COMMAND...: prints a section with the command's output, or with its error.
part() {
    echo "@@ $1"
    shift
    "$@" 2>&1 || true
}

# parts_of_any_host: the sections of every experiment.
parts_of_any_host() {
    part dmesg dmesg
    part failed-units systemctl --failed --no-legend --plain
}

