#!/bin/sh
# Run by mmdebstrap with the new root directory as $1, after the packages and before the image is made.
set -eu
root=$1
chroot "$root" useradd --create-home --shell /bin/bash admin
echo 'admin ALL=(ALL) NOPASSWD:ALL' >"$root/etc/sudoers.d/admin"
chmod 440 "$root/etc/sudoers.d/admin"
echo '/dev/ubda / ext4 noatime 0 0' >"$root/etc/fstab"
echo 'nameserver 127.0.0.1' >"$root/etc/resolv.conf"
rm -f "$root"/etc/ssh/ssh_host_*
: >"$root/etc/machine-id"
chmod 755 "$root/usr/local/sbin/lab-network" "$root/usr/local/sbin/lab-first-boot" "$root/usr/local/sbin/lab-nfs-server"
chroot "$root" systemctl enable lab-network.service lab-first-boot.service ssh.service
# Services that a blank Debian host on EC2 does not run either, or that only lengthen the boot here.
chroot "$root" systemctl mask getty@.service systemd-logind.service systemd-binfmt.service serial-getty@.service systemd-timesyncd.service \
  systemd-network-generator.service lvm2-monitor.service e2scrub_reap.service e2scrub_all.timer apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer \
  fstrim.timer mdmonitor-oneshot.timer mdcheck_start.timer mdcheck_continue.timer systemd-pstore.service \
  systemd-update-utmp.service systemd-update-utmp-runlevel.service systemd-random-seed.service systemd-sysusers.service \
  kmod-static-nodes.service sys-fs-fuse-connections.mount dev-mqueue.mount modprobe@fuse.service modprobe@drm.service \
  modprobe@efi_pstore.service modprobe@loop.service systemd-ask-password-console.path systemd-ask-password-wall.path
# Generators run at each boot and each reload, a process each. Only /etc/fstab is in use. A reload takes 0.5 s without the
# others and 1.0 s with them (Linux 7.2 on a busy AMD EPYC).
mkdir -p "$root/etc/systemd/system-generators"
for generator in "$root"/usr/lib/systemd/system-generators/*; do
  case ${generator##*/} in
    systemd-fstab-generator) ;;
    *) ln -s /dev/null "$root/etc/systemd/system-generators/${generator##*/}" ;;
  esac
done
chroot "$root" systemctl disable nfs-server.service nfs-blkmap.service rpcbind.service rpcbind.socket iscsid.service open-iscsi.service \
  rtslib-fb-targetctl.service mdmonitor.service nfs-client.target
# The region asks a host to stop as EC2 does, by the power button: User Mode Linux has Ctrl-Alt-Delete for one.
ln -sf /lib/systemd/system/poweroff.target "$root/etc/systemd/system/ctrl-alt-del.target"
mkdir -p "$root/etc/target/pr" "$root/etc/systemd/system.conf.d"
# A page fault is dear in User Mode Linux. glibc gives large blocks back to the kernel and takes them anew, as sshd's
# buffers do, which grow by reallocation: it then receives 17 MB/s instead of 37 (Linux 7.2 on a busy AMD EPYC; 1 instead of
# 40 with 6.1). So memory that a process once had stays its own (mallopt(3)).
keep='MALLOC_MMAP_THRESHOLD_=67108864 MALLOC_TRIM_THRESHOLD_=134217728 MALLOC_TOP_PAD_=1048576'
printf '[Manager]\nDefaultTimeoutStopSec=10s\nDefaultDeviceTimeoutSec=30s\nDefaultEnvironment=%s\n' "$keep" >"$root/etc/systemd/system.conf.d/lab.conf"
echo "$keep" | tr ' ' '\n' >>"$root/etc/environment"
rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/*
