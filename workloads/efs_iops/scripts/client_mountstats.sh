# Shows each second what the kernel counts of its NFS mounts, until nobody listens. Arguments: PHASE_MICROSECONDS
# It looks when this host's clock is PHASE_MICROSECONDS past a whole second: that is when cells begin and end, and minutes.
# "@@ TIME" stands before each copy of /proc/self/mountstats, "@@ end" behind it. No process is started while it runs.
phase=$1
while true; do
    now=${EPOCHREALTIME//[.,]/}
    printf -v pause '0.%06d' "$((999999 - (now - phase) % 1000000))"
    rest "$pause"
    now=${EPOCHREALTIME/,/.}
    mapfile -t lines < /proc/self/mountstats
    printf '@@ %s\n' "$now"
    printf '%s\n' "${lines[@]}"
    echo "@@ end"
done
# end of script
