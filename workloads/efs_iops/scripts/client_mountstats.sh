# Prints the kernel's counters of NFS mounts each second, until its output has no reader. Argument: PHASE_MICROSECONDS
# It reads when this host's clock is PHASE_MICROSECONDS past a whole second, which is when cells and minutes begin and end.
# "@@ TIME" precedes each copy of /proc/self/mountstats, "@@ end" follows it. No process is started while it runs.
phase=$1
while true; do
    now=${EPOCHREALTIME//[.,]/}
    printf -v pause '0.%06d' "$((999999 - (now - phase) % 1000000))"
    rest "$pause"
    now=${EPOCHREALTIME/,/.}
    lines_of /proc/self/mountstats
    printf '@@ %s\n' "$now"
    printf '%s\n' "${lines[@]}"
    echo "@@ end"
done
# end of script
