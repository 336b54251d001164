# Closes the volume, which removes its key from the kernel's memory.
close_volume
finish
# end of script
