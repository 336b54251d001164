# Unmounts the volume, after what is under way on it was ended.
end_what_is_under_way
unmount
finish
# end of script
