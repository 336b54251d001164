# Prints logs and states in sections, each after a line "@@ NAME". Argument: ROLE
role=$1
parts_of_any_host
part addresses ip -brief address
part listeners ss --tcp --listening --numeric
if [ "$role" = server ]; then
    part targets targetcli ls
    part sshd journalctl --unit ssh.service --no-pager --lines 500
    part tunnel journalctl --unit tidemark-tunnel-server.service --no-pager --lines 200
else
    part tunnel journalctl --unit tidemark-tunnel.service --no-pager --lines 500
    part sessions iscsiadm --mode session --print 3
    part iscsid journalctl --unit iscsid.service --no-pager --lines 500
fi
echo "@@ end"
# end of script
