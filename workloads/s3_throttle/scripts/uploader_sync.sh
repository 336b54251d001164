# Runs workloads/s3_throttle/uploader, which measures the syncs that standard input asks for.
# Arguments: PYTHON FOLDER WHO LEASE_TIMEOUT_SECONDS
exec "$1" -m workloads.s3_throttle.uploader "$2" "$3" "$4"
# end of script
