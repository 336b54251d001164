# Prints logs and states in sections, each after a line "@@ NAME". Argument: ROLE, always the same
parts_of_any_host
part addresses ip -statistics address
part sockets ss --tcp --numeric --all
part ssh journalctl --unit ssh --no-pager --lines 400
echo "@@ end"
# end of script
