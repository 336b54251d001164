# Keeps the configuration of server_ssh.sh: the log-in that sends this has used it. No argument.
quiet systemctl stop tidemark-sshd-rollback.timer
rm -f /etc/ssh/sshd_config.d/50-tidemark-tunnel.conf.before
finish
# end of script
