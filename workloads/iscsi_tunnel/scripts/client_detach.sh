# Removes disk and tunnel, and checks that they are gone. Argument: IQN
iqn=$1
look_at_sessions
names=
for path in "${session_of[$iqn]:-/none}/device"/target*/*:0/block/*; do
    [ -e "$path" ] || continue
    names=${path##*/}
    what_is_on "/dev/$names"
    used="${holders[*]} ${mounts[*]} ${swaps[*]}"
    read -r used <<< "$used" || true
    [ -z "$used" ] || die "/dev/$names is in use ($used)" "unmount and close what is on it, then detach again"
    quiet blockdev --flushbufs "/dev/$names" || true
done
forget_sessions "$iqn"
drop_tunnel
for _ in {1..50}; do
    left=
    look_at_sessions
    [ -z "${session_of[$iqn]:-}" ] || left+=" the session with $iqn;"
    [ -z "$names" ] || [ ! -e "/sys/block/$names" ] || left+=" the disk /dev/$names;"
    systemctl --quiet is-active "$UNIT" && left+=" the tunnel's unit;"
    [ -n "$left" ] || break
    rest 0.2
done
[ -z "$left" ] || die "still there:${left%;}" "see what holds it (lsof, dmesg) on that host, then detach again"
json '{"gone": true, "disk": "%s"}' "${names:+/dev/$names}"
finish
# end of script
