# Mounts the file system. Arguments: ADDRESS MOUNT_POINT MOUNT_SECONDS PORT_SECONDS tls|plain FILE_SYSTEM OPTIONS
# Prints the mount as the kernel shows it; the task checks it.
address=$1
point=$2
mount_seconds=$3
port_seconds=$4
how=$5
file_system=$6
asked=$7

# mounted: sets `device`, `type` and `options` of the mount at the mount point from /proc/self/mounts; fails when there is
# none. Of several mounts at one point the last is the visible one.
mounted() {
    local lines line words
    device=
    lines_of /proc/self/mounts
    for line in "${lines[@]}"; do
        read -ra words <<< "$line"
        if [ "${words[1]}" = "$point" ]; then
            device=${words[0]}
            type=${words[2]}
            options=${words[3]}
        fi
    done
    [ -n "$device" ]
}

# tunnel_to PORT: sets `tunnel` to the far end of the tunnel that listens at PORT, or to nothing when it is unknown.
# efs-utils keeps each configuration in /var/run/efs/stunnel-config.FILE_SYSTEM.PLACE.PORT and passes that name to the
# tunnel's process (src/efs_utils_common/proxy.py); a file without a process is of a tunnel that has ended.
tunnel_to() {
    local file key value
    tunnel=
    for file in /var/run/efs/stunnel-config.*."$1"; do
        if [ ! -f "$file" ] || ! pgrep --full -- "$file" > /dev/null; then
            continue
        fi
        while read -r key _ value; do
            [ "$key" != connect ] || tunnel=$value
        done < "$file"
    done
}

# answers: succeeds when the mount target's NFS port accepts a connection within two seconds.
answers() {
    timeout 2 bash -c "exec 3<> /dev/tcp/$address/2049" 2> /dev/null
}

if ! mounted; then
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
        attempt=(mount -t efs -o "tls,mounttargetip=$address,$asked" "$file_system:/" "$point")
    else
        attempt=(mount -t nfs4 -o "$asked" "$address:/" "$point")
    fi
    # A hard mount waits for ever: a timeout ends it.
    code=0
    quiet timeout --kill-after=5 "$mount_seconds" "${attempt[@]}" || code=$?
    if [ "$code" -eq 124 ] || [ "$code" -eq 137 ]; then
        die "mounting $address has hung for $mount_seconds s" \
            "see that the mount target's security group opens TCP 2049 to this host (packets that are dropped look so)"
    fi
    [ "$code" -eq 0 ] || die "mounting $address failed with exit code $code" "the cause is in the lines above"
    did "mounted $address at $point"
    mounted || die "mounting $address succeeded, and nothing is mounted at $point" "see /proc/self/mounts on that host"
fi
tunnel=
if [[ $options =~ (^|,)port=([0-9]+)(,|$) ]]; then
    tunnel_to "${BASH_REMATCH[2]}"
fi
json '{"device": "%s", "type": "%s", "options": "%s", "tunnel": "%s"}' "$device" "$type" "$options" "$tunnel"
finish
# end of script
