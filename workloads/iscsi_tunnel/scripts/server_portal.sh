# Opens or closes a second portal of the target, for the measurement without a tunnel. Arguments: open|close IQN ADDRESS
tpg=/sys/kernel/config/target/iscsi/$2/tpgt_1
portal=$tpg/np/$3:$PORT
if [ "$1" = open ] && [ ! -d "$portal" ]; then
    mkdir "$portal" || die "the target has no portal at $3" "run iscsi-tunnel.configure again"
    did "opened $3:$PORT"
elif [ "$1" = close ] && [ -d "$portal" ]; then
    rmdir "$portal"
    did "closed $3:$PORT"
fi
finish
# end of script
