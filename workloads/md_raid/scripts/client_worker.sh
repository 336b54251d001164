# Runs the native worker, with caches dropped, and prints whether the arrays were complete before and after, and what was
# read from each iSCSI target. Arguments: WORKER ARGUMENT...
arrays() {
    local file name degraded
    for file in /sys/block/md*/md/degraded; do
        [ -e "$file" ] || continue
        degraded=null # unknown, which does not count as complete
        read -r degraded < "$file" || true
        name=${file#/sys/block/}
        json '{"kind": "array", "when": "%s", "array": "%s", "degraded": %s}' "$1" "${name%%/*}" "${degraded:-null}"
    done
}
# disks WHEN: the counters are those of the kernel's Documentation/admin-guide/iostats.rst; a sector has 512 bytes.
disks() {
    local path lines line fields target read=
    local -A target_of=()
    for path in /sys/class/iscsi_session/session*/device/target*/*/block/*; do
        [ -e "$path" ] || continue
        read -r target_of["${path##*/}"] < "${path%%/device/*}/targetname"
    done
    lines_of /proc/diskstats
    for line in "${lines[@]}"; do
        read -ra fields <<< "$line"
        target=${target_of[${fields[2]}]:-}
        [ -z "$target" ] || read+=${read:+, }"\"$target\": $((fields[5] * 512))"
    done
    echo "{\"kind\": \"disks\", \"when\": \"$1\", \"read_bytes\": {$read}}"
}
arrays before
# The storage servers cache nothing: the targets' iblock backstores hand requests to the volumes as they come.
sync
echo 3 > /proc/sys/vm/drop_caches
worker=$1
shift
disks before
"$worker" "$@" &
pid=$!
json '{"kind": "started", "pid": %s}' "$pid"
code=0
wait "$pid" || code=$?
disks after
arrays after
if [ "$code" -ne 0 ]; then
    # Its own message is on standard error.
    exit "$code"
fi
finish
# end of script
