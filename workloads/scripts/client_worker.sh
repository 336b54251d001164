# Runs the native worker. Arguments: WORKER ARGUMENT...
# There is nothing to drop from caches: with O_DIRECT each operation goes to the server (nfs(5)) or the disk.
worker=$1
shift
"$worker" "$@" &
pid=$!
# Whoever ends this script, a connection that breaks too, ends the worker.
trap 'kill "$pid" 2> /dev/null || true' EXIT
json '{"kind": "started", "pid": %s}' "$pid"
wait "$pid"
finish
# end of script
