# Prints logs and states in sections, each after a line "@@ NAME". Argument: ROLE, always the same
parts_of_any_host
part mounts cat /proc/self/mounts
part mountstats cat /proc/self/mountstats
part nfsstat nfsstat --client
part df df --block-size=1
echo "@@ end"
# end of script
