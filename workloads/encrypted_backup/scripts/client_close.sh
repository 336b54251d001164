# Closes the volume: its key is gone from the kernel's memory then.
close_volume
finish
# end of script
