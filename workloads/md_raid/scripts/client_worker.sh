# Runs the native worker, with caches dropped, and prints whether the arrays were complete before and after.
# Arguments: WORKER ARGUMENT...
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
arrays before
# The storage servers cache nothing: the targets' iblock backstores hand requests to the volumes as they come.
sync
echo 3 > /proc/sys/vm/drop_caches
worker=$1
shift
"$worker" "$@" &
pid=$!
json '{"kind": "started", "pid": %s}' "$pid"
code=0
wait "$pid" || code=$?
arrays after
if [ "$code" -ne 0 ]; then
    # Its own message is on standard error.
    exit "$code"
fi
finish
# end of script
