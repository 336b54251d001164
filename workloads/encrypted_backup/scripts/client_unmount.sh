# Ends the process that uses the volume, and unmounts it.
end_what_is_under_way
unmount
finish
# end of script
