# Syncs, measured (workloads/s3_throttle/uploader), as standard input asks for them.
# Arguments: PYTHON FOLDER WHO PATIENCE_SECONDS
exec "$1" -m workloads.s3_throttle.uploader "$2" "$3" "$4"
# end of script
