# Stops arrays, and lets udev see labels again that were hidden from it for temporary ones. Arguments: ARRAY...
for array in "$@"; do
    # One may have held, and so stopped, the next.
    if [ -d "/sys/block/$array/md" ]; then
        stop_array "$array"
    fi
done
if [ -e "$BENCH_RULE" ]; then
    udevadm settle --timeout=10 || true # it has still to look at what was stopped
    rm -f "$BENCH_RULE"
    udevadm control --reload
fi
finish
# end of script
