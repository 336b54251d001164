# Shows each second what the kernel counts of its NFS mounts, until nobody listens. No argument.
# "@@ TIME" stands before each copy of /proc/self/mountstats, "@@ end" behind it. No process is started while it runs.
exec {never}<> <(:)
while true; do
    now=${EPOCHREALTIME/,/.}
    mapfile -t lines < /proc/self/mountstats
    printf '@@ %s\n' "$now"
    printf '%s\n' "${lines[@]}"
    echo "@@ end"
    read -r -t 1 -u "$never" || true
done
# end of script
