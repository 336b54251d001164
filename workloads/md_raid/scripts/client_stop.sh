# Stops arrays. Arguments: ARRAY...
for array in "$@"; do
    # One may have held, and so stopped, the next.
    if [ -d "/sys/block/$array/md" ]; then
        stop_array "$array"
    fi
done
finish
# end of script
