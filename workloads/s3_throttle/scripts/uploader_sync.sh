# One sync, measured (workloads/s3_throttle/uploader). Arguments: PYTHON SPEC
"$1" -m workloads.s3_throttle.uploader "$2"
# end of script
