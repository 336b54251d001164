# Shows logs and states, each under a line "@@ NAME". Arguments: ROLE, of which there is one.
parts_of_any_host
part addresses ip -statistics address
part sockets ss --tcp --numeric --all
part ssh journalctl --unit ssh --no-pager --lines 400
echo "@@ end"
# end of script
