# Runs the native worker. Arguments: WORKER ARGUMENT...
# No caches need be dropped: with O_DIRECT each operation goes to the server (nfs(5)) or the disk.
worker=$1
shift
"$worker" "$@" &
pid=$!
# The worker ends with this script, also when the connection breaks.
trap 'kill "$pid" 2> /dev/null || true' EXIT
json '{"kind": "started", "pid": %s}' "$pid"
wait "$pid"
finish
# end of script
