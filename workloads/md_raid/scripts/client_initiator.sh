# Sets the initiator's name, and prepares the boot. Arguments: INITIATOR_IQN ARRAY...
# The host's other iSCSI disks stay logged in, and its other arrays are assembled as before.
initiator=$1
shift

own_interface "$IFACE" "$initiator"
# The first logs in at boot, the second starts the daemon for it.
enable_unit open-iscsi.service sysinit.target
enable_unit iscsid.socket sockets.target

# udev assembles none of these arrays until configure lists them (mdadm.conf(5), <ignore>).
conf=/etc/mdadm/mdadm.conf.d/tidemark.conf
[ -f "$conf" ] || put "$conf" "$(ignored "$@")"
finish
# end of script
