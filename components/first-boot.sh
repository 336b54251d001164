#!/bin/bash
# Run once as root at first boot: by cloud-init on AWS, by a first-boot service in the rehearsal.
# Running it again changes nothing. The two values are filled in by components/host.py.
# systemd is never reloaded: it reads a unit that is new when it is started, and a reload, which runs every generator
# again, takes a rehearsal host three seconds.
set -eu

lifetime_hours='@LIFETIME_HOURS@'
memory_limit_mib='@MEMORY_LIMIT_MIB@' # empty: not limited

say() {
    echo "tidemark: $*"
    # The console is what can be read from outside before anyone has logged in.
    echo "tidemark: $*" >/dev/console 2>/dev/null || true
}

# Host keys go to the console at every boot, not only at this one: EC2 keeps the console's last output alone, and the
# reboot below may push the first boot's away.
show_host_keys() {
    # sshd can't start without one; what is there is enough, and an RSA key takes a slow machine seconds to make.
    ls /etc/ssh/ssh_host_*_key.pub >/dev/null 2>&1 || ssh-keygen -A >/dev/null
    mkdir -p /usr/local/sbin
    cat >/usr/local/sbin/tidemark-host-keys <<'SCRIPT'
#!/bin/sh
# Each host key's public half, one line a key, for whoever may read this machine's console.
for key in /etc/ssh/ssh_host_*_key.pub; do
    [ -e "$key" ] || continue
    read -r type public _ <"$key"
    # Begins with a line feed: the console may be in the middle of somebody else's line.
    printf '\ntidemark-host-key: %s %s\n' "$type" "$public" >/dev/console
done
SCRIPT
    chmod 0755 /usr/local/sbin/tidemark-host-keys
    cat >/etc/systemd/system/tidemark-host-keys.service <<'UNIT'
[Unit]
Description=Show the SSH host keys on the console
After=ssh.service

[Service]
Type=oneshot
ExecStart=/usr/local/sbin/tidemark-host-keys

[Install]
WantedBy=multi-user.target
UNIT
    systemctl --quiet --no-reload enable tidemark-host-keys.service
    /usr/local/sbin/tidemark-host-keys || say "host keys: the console cannot be written to"
}

# The end of this machine, as a time of the calendar: it counts while the machine is off or restarting, too. Set once;
# a second run must not prolong it. Powering off is terminating (instance_initiated_shutdown_behavior).
set_expiry() {
    if [ ! -e /etc/systemd/system/tidemark-expiry.timer ]; then
        end=$(date -u -d "+$lifetime_hours hours" '+%Y-%m-%d %H:%M:%S UTC')
        cat >/etc/systemd/system/tidemark-expiry.service <<'UNIT'
[Unit]
Description=Power off: the lifetime of this machine is over

[Service]
Type=oneshot
ExecStart=/usr/bin/systemctl --no-block poweroff
UNIT
        # Written beside and renamed, so that an interrupted write is not taken for a timer.
        cat >/etc/systemd/system/tidemark-expiry.timer.new <<UNIT
[Unit]
Description=The end of this machine

[Timer]
OnCalendar=$end
Persistent=true

[Install]
WantedBy=timers.target
UNIT
        mv /etc/systemd/system/tidemark-expiry.timer.new /etc/systemd/system/tidemark-expiry.timer
        say "expires at $end"
    fi
    systemctl --quiet --no-reload enable tidemark-expiry.timer
    # Not waited for: at boot a timer may be ordered after what is waiting for this script.
    systemctl --quiet --no-block start tidemark-expiry.timer
}

# Amazon's own time service is reached without any rule of a security group and without the internet (EC2 User Guide,
# "Precision clock and time synchronization"); the pools that Debian names are not: no rule lets UDP 123 out.
# Which of the two programs an image has is its maker's choice, so both are told.
keep_time() {
    mkdir -p /etc/systemd/timesyncd.conf.d /etc/chrony/sources.d
    printf '[Time]\nNTP=169.254.169.123\n' >/etc/systemd/timesyncd.conf.d/90-tidemark.conf
    echo 'server 169.254.169.123 prefer iburst minpoll 4 maxpoll 4' >/etc/chrony/sources.d/tidemark.sources
    # Of those that run; the other one is no fault.
    systemctl --quiet --no-block try-restart systemd-timesyncd.service chrony.service 2>/dev/null || true
}

# The kernel is told to use no more, so that the page cache counts for little. Needs one reboot.
limit_memory() {
    [ -n "$memory_limit_mib" ] || return 0
    # What the kernel has, not what its command line says: some take mem= from the line that they show.
    read -r _ total_kib _ </proc/meminfo
    [ "$total_kib" -gt $((memory_limit_mib * 1024)) ] || return 0
    setting=/etc/default/grub.d/90-tidemark-memory.cfg
    if [ -e "$setting" ] && [ -e /var/lib/tidemark-rebooted ]; then
        say "memory limit: the kernel was restarted and still has $((total_kib / 1024)) MiB; see $setting"
        return 1
    fi
    mkdir -p /etc/default/grub.d
    echo "GRUB_CMDLINE_LINUX=\"\$GRUB_CMDLINE_LINUX mem=${memory_limit_mib}M\"" >"$setting"
    update-grub
    touch /var/lib/tidemark-rebooted
    say "memory limit: restarting with mem=${memory_limit_mib}M"
    systemctl --no-block reboot
}

show_host_keys
set_expiry
keep_time
limit_memory
