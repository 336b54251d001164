# Shows logs and states, each under a line "@@ NAME". Arguments: ROLE, of which there is one.
parts_of_any_host
part mounts cat /proc/self/mounts
part mountstats cat /proc/self/mountstats
part nfsstat nfsstat --client
part df df --block-size=1
echo "@@ end"
# end of script
