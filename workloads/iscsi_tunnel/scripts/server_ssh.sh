# Lets one user with one key open one tun device over SSH, and nothing else. Arguments: USER TUN PUBLIC_KEY
#
# A mistake must not lock anyone out: sshd checks the configuration before it is loaded, and a timer restores the previous
# one unless server_ssh_keep.sh, sent over a new log-in, stops the timer.
user=$1
tun=$2
key=$3
ROLLBACK=tidemark-sshd-rollback
ROLLBACK_SECONDS=60
drop_in=/etc/ssh/sshd_config.d/50-tidemark-tunnel.conf
keys=/etc/ssh/tidemark-tunnel.keys

if ! id "$user" > /dev/null 2>&1; then
    quiet useradd --system --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin "$user"
    did "made the user $user"
fi
# restrict: no forwarding, no terminal, no commands file (sshd(8), AUTHORIZED_KEYS FILE FORMAT). Root owns the file,
# so that the key's user can't add another key.
put "$keys" "restrict,tunnel=\"$tun\",command=\"/usr/sbin/nologin\" $key tidemark-tunnel"
chmod 644 "$keys"

# sshd must release the tun device before the client, which waits 15 s, tries again: it gives up after two unanswered
# keep-alives and one more interval, 9 s, or somewhat later while the device has data. AllowUsers and AllowGroups: where the
# host lists who may log in, these take the lists' place for this user alone; DenyUsers and DenyGroups stay in force.
text="# One user, one key, one tun device: written by tidemark (iscsi-tunnel).
Match User $user
    AllowUsers $user
    AllowGroups *
    PermitTunnel point-to-point
    AuthorizedKeysFile $keys
    AuthenticationMethods publickey
    PasswordAuthentication no
    AllowTcpForwarding no
    AllowStreamLocalForwarding no
    AllowAgentForwarding no
    X11Forwarding no
    PermitTTY no
    PermitUserRC no
    ClientAliveInterval 3
    ClientAliveCountMax 2"
if [ ! -f "$drop_in" ] || [ "$(< "$drop_in")" != "$text" ]; then
    rm -f "$drop_in.before"
    [ ! -f "$drop_in" ] || cp -p "$drop_in" "$drop_in.before"
    # back: restores the previous file atomically.
    back="if [ -f $drop_in.before ]; then mv -f $drop_in.before $drop_in; else rm -f $drop_in; fi"
    put "$drop_in" "$text"
    if ! words=$(sshd -t 2>&1); then
        eval "$back"
        die "sshd refuses the configuration with $drop_in (${words//$'\n'/ })" "nothing was changed; correct sshd_config on that host"
    fi
    if ! sshd -T -C "user=$user,host=localhost,addr=127.0.0.1" | grep -qx "permittunnel point-to-point"; then
        eval "$back"
        die "sshd does not read $drop_in" "nothing was changed; let sshd_config on that host Include /etc/ssh/sshd_config.d/*.conf"
    fi
    systemctl stop "$ROLLBACK.timer" 2> /dev/null || true
    quiet systemd-run --collect --unit="$ROLLBACK" --on-active="$ROLLBACK_SECONDS" --timer-property=AccuracySec=1s \
        bash -c "$back; systemctl reload ssh"
    quiet systemctl reload ssh
    echo '{"to_be_kept": true}'
fi
finish
# end of script
