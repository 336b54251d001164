# Runs the native worker. Arguments: WORKER ARGUMENT...
# There is nothing to drop from caches: with O_DIRECT the NFS client asks the server for each operation (nfs(5)).
worker=$1
shift
"$worker" "$@" &
pid=$!
# Whoever ends this script, a connection that breaks too, ends the worker.
trap 'kill "$pid" 2> /dev/null || true' EXIT
printf '{"kind": "started", "pid": %s}\n' "$pid"
wait "$pid"
finish
# end of script
