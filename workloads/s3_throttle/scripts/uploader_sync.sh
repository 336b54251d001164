# Runs workloads/s3_throttle/uploader, which measures the syncs that standard input asks for, for one run at a time: two runs
# would share the rate. Arguments: PYTHON FOLDER WHO LEASE_TIMEOUT_SECONDS LOCK_TIMEOUT_SECONDS. The error of a second run
# names WHO.
mkdir -p "$2"
# The kernel releases the lock when the program ends, in whatever way: what it starts has no copy of the descriptor.
exec 9>> "$2/claim"
if ! flock --timeout "$5" 9; then
    read -r first < "$2/claim" || true
    die "another run is under way: ${first:-a run without a name}" "wait for its end and run again"
fi
printf '%s\n' "$3" > "$2/claim"
exec "$1" -I -m workloads.s3_throttle.uploader "$2" "$4"
# end of script
