# Prints logs and states in sections, each after a line "@@ NAME". Argument: ROLE
role=$1
parts_of_any_host
part lsblk lsblk --json --bytes --output NAME,KNAME,TYPE,SIZE,SERIAL,FSTYPE,MOUNTPOINT
if [ "$role" = client ]; then
    part mdstat cat /proc/mdstat
    for array in /sys/block/md*; do
        [ -d "$array/md" ] && part "detail-${array##*/}" mdadm --detail "/dev/${array##*/}"
    done
    part sessions iscsiadm --mode session --print 3
    part iscsid journalctl --unit iscsid.service --unit open-iscsi.service --no-pager --lines 2000
else
    part volumes lvs --units b --options vg_name,lv_name,lv_size,devices
    part targets targetcli ls
    part target journalctl --unit rtslib-fb-targetctl.service --no-pager --lines 500
fi
echo "@@ end"
# end of script
