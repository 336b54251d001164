# The initiator's name, and what is to happen at boot before the arrays exist. Arguments: INITIATOR_IQN ARRAY...
# Nothing that is not ours is changed: other iSCSI disks of this host stay logged in, and its other arrays are assembled.
initiator=$1
shift

own_interface "$IFACE" "$initiator"
# The one logs in at boot, the other starts the daemon for it.
enable_unit open-iscsi.service sysinit.target
enable_unit iscsid.socket sockets.target

# Until configure lists them, udev assembles none of the arrays that it makes (mdadm.conf(5), <ignore>).
conf=/etc/mdadm/mdadm.conf.d/tidemark.conf
[ -f "$conf" ] || put "$conf" "$(ignored "$@")"
finish
# end of script
