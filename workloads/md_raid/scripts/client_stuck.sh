# Prints why the worker may be silent: tasks that cannot go on, the worker's and its script's, and devices with requests in
# flight. It reads the kernel's files alone: what it looks for may be a disk that does not answer.
declare -A seen=()
for file in /proc/[0-9]*/task/[0-9]*/stat; do
    { read -r line < "$file"; } 2> /dev/null || continue # it has ended meanwhile
    name=${line#*\(}
    name=${name%)*}
    state=${line##*) }
    state=${state%% *}
    folder=${file%/stat}
    { IFS= read -r -d '' arguments < "${folder%/task/*}/cmdline"; } 2> /dev/null || arguments=
    [ "$state" = D ] || [[ $arguments == */tidemark-worker ]] || continue
    waits_in=
    { read -r waits_in < "$folder/wchan"; } 2> /dev/null || true # the kernel's text has no end of line
    mapfile -t stack 2> /dev/null < "$folder/stack" || stack=()
    calls=
    for call in "${stack[@]}"; do
        call=${call#*] }
        calls+=${calls:+ < }${call%%+*}
    done
    # A worker's threads are alike.
    [ -z "${seen[$name $state $calls]:-}" ] || continue
    seen[$name $state $calls]=yes
    json '{"task": "%s", "state": "%s", "waits_in": "%s", "stack": "%s"}' "$name" "$state" "$waits_in" "$calls"
done
for file in /sys/block/*/inflight; do
    read -r reads writes < "$file"
    device=${file#/sys/block/}
    [ "$((reads + writes))" -eq 0 ] || json '{"device": "%s", "reads": %s, "writes": %s}' "${device%%/*}" "$reads" "$writes"
done
finish
# end of script
