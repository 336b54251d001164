# Shows /proc/mdstat, for a task that waits.
cat /proc/mdstat
# end of script
