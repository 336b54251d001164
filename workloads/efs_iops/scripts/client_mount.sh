# Mounts the file system. Arguments: ADDRESS MOUNT_POINT MOUNT_SECONDS PORT_SECONDS tls|plain FILE_SYSTEM OPTIONS
# Prints the mount as the kernel shows it. Mounted already, from that address, is well.
address=$1
point=$2
mount_seconds=$3
port_seconds=$4
how=$5
file_system=$6
options=$7

# mounted: the line of /proc/self/mounts for the mount point, if there is one.
mounted() {
    local device where type options _
    while read -r device where type options _; do
        if [ "$where" = "$point" ]; then
            echo "$device $type $options"
        fi
    done < /proc/self/mounts
}

# answers: whether something accepts a connection at the mount target's NFS port, in two seconds.
answers() {
    timeout 2 bash -c "exec 3<> /dev/tcp/$address/2049" 2> /dev/null
}

line=$(mounted)
if [ -z "$line" ]; then
    mkdir -p "$point"
    until answers; do
        [ "$SECONDS" -lt "$port_seconds" ] \
            || die "the mount target $address does not answer on port 2049" \
                "see that its security group opens TCP 2049 to this host, and that it is in the same VPC"
        sleep 0.5
    done
    if [ "$how" = tls ]; then
        command -v mount.efs > /dev/null \
            || die "TLS is asked for and amazon-efs-utils is not on this host" "install it there, or leave --tls out"
        attempt=(mount -t efs -o "tls,mounttargetip=$address,$options" "$file_system:/" "$point")
    else
        attempt=(mount -t nfs4 -o "$options" "$address:/" "$point")
    fi
    # A hard mount waits for ever: it is ended from here.
    code=0
    quiet timeout --kill-after=5 "$mount_seconds" "${attempt[@]}" || code=$?
    if [ "$code" -eq 124 ] || [ "$code" -eq 137 ]; then
        die "mounting $address has hung for $mount_seconds s" \
            "see that the mount target's security group opens TCP 2049 to this host (packets that are dropped look so)"
    fi
    [ "$code" -eq 0 ] || die "mounting $address failed with exit code $code" "the cause is in the lines above"
    did "mounted $address at $point"
    line=$(mounted)
fi
read -r device type options <<< "$line"
printf '{"device": "%s", "type": "%s", "options": "%s"}\n' "$device" "$type" "$options"
finish
# end of script
